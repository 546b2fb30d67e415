"""The loader `yolov5`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qcore.plugin import FileError, Model, counted
from qcore.plugin import Tensor as TensorSpec
from qcore_kit.checkpoints.standins import StandIn
from qcore_kit.checkpoints.stored import Stored, bare, stored
from qcore_kit.checkpoints.unpickler import Checkpoint
from qcore_kit.detectors.contracts import DETECT, LETTERBOX, input_shape, size_note
from qcore_plugins._shared.network import weights as strict
from qcore_plugins._shared.network.configs import HINT, config_file, no_config
from qcore_plugins._shared.network.detector import levels, model, names, told
from qcore_plugins.families.yolov5 import published
from qcore_plugins.families.yolov5.contract import MEANING, PROTOCOLS
from qcore_plugins.families.yolov5.network import YoloV5

MULTIPLES = {(0.33, 0.25): "n", (0.33, 0.5): "s", (0.67, 0.75): "m", (1.0, 1.0): "l", (1.33, 1.25): "x"}
"""(depth_multiple, width_multiple) of the published variants."""


class YoloV5Loader:
    """YOLOv5 checkpoints: upstream's pickles, and plain dictionaries of state dict, config, names and stride."""

    def matches(self, content: Checkpoint) -> str | None:
        """A few words on the model, or None where the file holds no YOLOv5 detector."""
        found = detector(content)
        if found is None:
            return None
        if not found.config:
            return f"YOLOv5 weights without their config, {len(found.weights)} tensors"
        return f"YOLOv5 {variant(found.config)}, {counted(found.config['nc'], 'class')}, {len(found.weights)} tensors"

    def load(self, content: Checkpoint, *, options: Mapping[str, Any]) -> Model:
        """The float model with its contract.

        Options: `imgsz` (int or (height, width)), `head` (`decoded` or `raw`), `batch`, `names` and `config` (files).

        Raises:
            FileError: The config names an unsupported block, or keys or shapes do not fit.
            UsageError: The input size is not a multiple of the largest stride.
        """
        found = detector(content, options.get("config"))
        if found is None:
            raise FileError(
                f"{content.path}: no YOLOv5 detector inside", hint=f"qcore inspect {content.path} without --loader"
            )
        if not found.config:
            raise no_config(content.path, "YOLOv5")
        listed, assumed = names(found.names, found.config["nc"], options, str(content.path))
        network = build(found.config, found.weights, listed, found.source, str(content.path))
        stride = int(max(network.strides))
        default = (1280, 1280) if stride == 64 else (640, 640)
        shape = input_shape(options, stride, found.size or default, network.channels)
        raw = options.get("head") == "raw"
        return model(
            network,
            content,
            family="yolov5",
            variant=variant(found.config),
            shape=shape,
            outputs=_raw(network, shape) if raw else [_decoded(network, shape)],
            steps={
                "preprocess": {**LETTERBOX, "stride": stride},
                "postprocess": DETECT,
                "protocols": PROTOCOLS,
            },
            notes={**size_note(options, found.size, shape), **told(assumed, found.assumed)},
        )


def build(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], names: Sequence[str], source: StandIn | None, file: str
) -> YoloV5:
    """The network with its weights, strict about keys and shapes.

    Raises:
        FileError: A key is missing, left over, or of another shape; or the config cannot be built.
    """
    network: YoloV5 = strict.built(lambda: YoloV5(config, names), file)
    given = {key: value for key, value in weights.items() if not key.endswith(".anchor_grid")}
    anchors = next((value for key, value in given.items() if key.endswith(".anchors")), None)
    if anchors is not None and anchors.shape[0] == len(network.strides) and anchors.shape[1] == network.detect.na:
        network.detect.anchors = torch.empty_like(anchors, dtype=torch.float32)
    strict.trained(network, config, given, source, file)
    return network


def detector(content: Checkpoint, config: str | None = None) -> Stored | None:
    """The YOLOv5 detector in a checkpoint, or None; its config is empty where it holds only weights of no known size.

    Args:
        content: The checkpoint.
        config: Path of a config to use instead of the file's own.

    Raises:
        FileError: Under `ema` is something that is no network, or the config is none.
    """
    found = stored(content)
    if found is None:
        return _weights_alone(bare(content), config)
    if found.package == "ultralytics" or found.family not in ("", "yolov5"):
        return None
    head = published.head_of(found.weights)
    if found.head != "Detect" or head is None:
        return None
    given = config_file(config) if config else {}
    return replace(found, config={**found.config, **given, "nc": published.classes(found.weights, head)})


def _weights_alone(found: Stored, given: str | None) -> Stored | None:
    head = published.head_of(found.weights)
    if head is None:
        return None
    classes = {"nc": published.classes(found.weights, head)}
    if given:
        return replace(found, config={**found.config, **config_file(given), **classes})
    config = published.config(found.weights, head)
    if config is None:
        return replace(found, config={})
    known = {**found.config, **config, **classes}
    assumed = f"the layers of YOLOv5{variant(known)}, told from shapes: the file holds weights only; else {HINT}"
    return replace(found, config=known, assumed="; ".join(filter(None, (found.assumed, assumed))))


def variant(config: Mapping[str, Any]) -> str:
    """`n` to `x`, with a 6 for the four-level models, or `custom`."""
    key = (float(config.get("depth_multiple", 1)), float(config.get("width_multiple", 1)))
    levels = len(config["head"][-1][0])
    rows = len(config["backbone"]) + len(config["head"])
    size = MULTIPLES.get(key)
    if size is None or (levels, rows) not in {(3, 25), (4, 34)}:
        return "custom"
    return size + ("6" if levels == 4 else "")


def _decoded(network: YoloV5, shape: Sequence[Any]) -> TensorSpec:
    rows = network.detect.na * sum(height * width for height, width in levels(network, shape))
    return TensorSpec("output0", "float32", (shape[0], rows, network.detect.no), None, MEANING, "decoded")


def _raw(network: YoloV5, shape: Sequence[Any]) -> list[TensorSpec]:
    anchors = (network.detect.anchors * torch.tensor(network.strides).view(-1, 1, 1)).tolist()
    return [
        TensorSpec(
            f"raw{index}",
            "float32",
            (shape[0], network.detect.na, *level, network.detect.no),
            None,
            MEANING,
            "raw",
            {"stride": int(network.strides[index]), "anchors": anchors[index]},
        )
        for index, level in enumerate(levels(network, shape))
    ]
