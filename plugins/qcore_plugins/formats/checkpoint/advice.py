"""What a checkpoint is that no loader takes, and what to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcore_kit.checkpoints import parts
from qcore_kit.checkpoints.standins import StandIn
from qcore_kit.checkpoints.stored import Stored, stored
from qcore_kit.checkpoints.unpickler import Checkpoint

DETECTORS = {"Detect", "v10Detect"}
"""Heads of detectors in the ultralytics package."""
TASKS = {
    "Segment": "segmentation", "Pose": "poses", "OBB": "rotated boxes", "Classify": "classification",
    "RTDETRDecoder": "detection by RT-DETR", "WorldDetect": "open-vocabulary detection",
    "YOLOEDetect": "open-vocabulary detection", "IDetect": "YOLOv7", "IAuxDetect": "YOLOv7",
    "IKeypoint": "poses by YOLOv7",
}  # fmt: skip
"""Heads that nothing here reads, and what they are for; a number at their end is a version."""
DEEP = 3
"""Levels of a checkpoint that are looked through."""
READ = "qcore reads YOLOv5, YOLOv9 and YOLO-NAS checkpoints"


def about(content: Checkpoint) -> str:
    """What is inside, in a few words."""
    if found := stored(content):
        blocks = sorted({str(row[2]) for part in ("backbone", "head") for row in found.config[part]})
        kind = found.source.qualified if found.source else f"family {found.family!r}"
        return f"{kind} with the head {found.head} and the blocks {', '.join(blocks)}"
    data = content.data
    if isinstance(data, StandIn):
        return f"a pickled {data.qualified}"
    if isinstance(data, Mapping):
        inner = next((data[key] for key in ("ema", "model", "net") if isinstance(data.get(key), StandIn)), None)
        if isinstance(inner, StandIn):
            return f"a pickled {inner.qualified}"
        keys = [str(key) for key in data]
        return f"a dictionary with the keys {', '.join(keys[:5])}{', ...' if len(keys) > 5 else ''}"
    return f"a {type(data).__name__}"


def advice(content: Checkpoint) -> str | None:
    """What to run or change; None where nothing particular is known."""
    if found := stored(content):
        return _elsewhere(found, content)
    weights = parts.bare(content.data, content.path)
    if _integers(content.data):
        return "the weights are already integers; pass the float checkpoint they were made from"
    if weights and any(key.startswith(("model.", "module.model.")) for key in weights):
        return (
            "weights without the config of their network; give the whole checkpoint that training wrote, or name the "
            "family and its config: --loader yolov5 or yolov9 --loader-option config=FILE.yaml"
        )
    if "super_gradients" in about(content):
        return "save its weights: torch.save({'net': model.state_dict()}, 'weights.pth')"
    return None


def _integers(value: Any, depth: int = 0) -> bool:
    """Whether a checkpoint holds tensors of torch's quantized types."""
    if isinstance(value, StandIn):
        return value.short == "_rebuild_qtensor"
    return isinstance(value, Mapping) and depth <= DEEP and any(_integers(each, depth + 1) for each in value.values())


def _elsewhere(found: Stored, content: Checkpoint) -> str | None:
    """Checkpoints with rows whose network nothing here builds."""
    task = next((TASKS[name] for name in TASKS if found.head.rstrip("0123456789").startswith(name)), None)
    if task is not None:
        return f"the head {found.head} is for {task}; {READ}"
    if found.package == "ultralytics" and found.head in DETECTORS:
        last = any("one2one_cv" in key for key in found.weights)
        how = " end2end=False" if last else ""
        return (
            f"export it with the package that trained it: yolo export model={content.path.name} format=onnx{how}; then "
            f"qcore quantize {content.path.stem}.onnx --loader onnx --quantizer onnxruntime --calib PICTURES"
        )
    return None
