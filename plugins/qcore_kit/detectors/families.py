"""The contracts of heads that other exporters write, beside those that loaders of checkpoints describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import qcore
from qcore.plugin import Contract, FileError, Step, UsageError
from qcore_kit.boxes.outputs import LABELLED
from qcore_kit.detectors.contracts import DETECT, LETTERBOX, class_names, contract, shapes
from qcore_kit.detectors.exported import describe_exported
from qcore_kit.detectors.network import Network
from qcore_kit.detectors.recognition import PAIR, Head


@dataclass(frozen=True)
class Convention:
    """How the networks of a family are fed and read.

    Attributes:
        preprocess: What differs from YOLOv5's letterbox.
        postprocess: What differs from its thresholds.
        told: What that means, for people.
        title: Who gives such outputs, for people.
        otherwise: What differs where its boxes are implausible for such pixels, and what that means.
    """

    preprocess: Mapping[str, Any] = field(default_factory=dict)
    postprocess: Mapping[str, Any] = field(default_factory=dict)
    told: str = "RGB, 0 to 1, padding 114 on both sides"
    title: str = ""
    otherwise: tuple[Mapping[str, Any], str] | None = None


CONVENTIONS = {
    "yolov5": Convention(title="YOLOv5, v6 and v7"),
    "yolov9": Convention(title="YOLOv8, v9, 11 and 12"),
    "yolo26": Convention(title="YOLO26 and YOLOv10 before they select boxes"),
    "deepstream": Convention(title="DeepStream's exporter"),
    "yolov10": Convention(postprocess={"iou": 1.0, "max_detections": 300}, title="YOLOv10 and YOLO26, end to end"),
    "yolox": Convention(
        {"pad": "bottom-right", "rounding": "int", "channels": "BGR", "scale": None},
        told="BGR, 0 to 255, padding 114 right and below",
        title="YOLOX",
        otherwise=(
            {"channels": "RGB", "scale": 1 / 255},
            "RGB, 0 to 1, padding 114 right and below, as its boxes are implausible for 0 to 255",
        ),
    ),
}
"""YOLOX: its release 0.2 and later; earlier ones, and some trainers since, feed RGB from 0 to 1. An end-to-end head has
chosen its boxes itself, so no box suppresses another."""
OWN = {"yolov5": "boxes-objectness-classes", "yolov9": "boxes-classes"}
"""What loaders of checkpoints describe themselves."""
MEANINGS = {
    "yolov5": ("boxes-objectness-classes",),
    "yolox": ("boxes-objectness-classes",),
    "yolov9": ("boxes-classes", "boxes-classes-rows"),
    "yolo26": ("corners-classes", "corners-classes-rows", PAIR),
    "yolonas": (PAIR,),
    "yolov10": (LABELLED,),
    "deepstream": (LABELLED,),
}
"""What the outputs of a family can mean."""


def described(head: Head, network: Network, names: Sequence[str]) -> Contract:
    """The contract of a recognised head.

    Raises:
        FileError: Another number of names than of classes.
        UsageError: Nothing tells how many classes there are.
    """
    if head.family not in CONVENTIONS or OWN.get(head.family) == head.meaning:
        result: Contract = describe_exported(
            head.family, network.inputs, head.outputs, names=names or None, plugins=qcore.plugins
        )
        return result
    convention = CONVENTIONS[head.family]
    count = len(names) if head.classes is None else head.classes
    if not count:
        raise UsageError(
            f"output {head.outputs[0].name} holds class numbers, and nothing says how many classes there are",
            hint="pass their names with --names FILE, or --loader-option names=FILE",
        )
    attributes = {"classes": count} if head.meaning == LABELLED else {}
    stage = "nms" if head.family == "yolov10" else "decoded"
    meanings = PAIR.split(", ") if head.meaning == PAIR else [head.meaning]
    outputs = [
        replace(output, meaning=meaning, stage=stage, attributes=attributes)
        for output, meaning in zip(head.outputs, meanings, strict=True)
    ]
    described_contract = contract(
        network.inputs[0].shape,
        outputs,
        class_names(names, count),
        preprocess={**LETTERBOX, **convention.preprocess},
        postprocess={**DETECT, **convention.postprocess},
        protocols=_protocols(head),
    )
    return replace(described_contract, inputs=network.inputs)


def stated(family: str, network: Network, names: Sequence[str], seen: Head | None) -> Contract:
    """The contract of a family that a person states; errors as in `described` and `loading.describe`.

    Raises:
        FileError: The outputs cannot be that family's.
    """
    if family in MEANINGS and seen is not None:
        if seen.meaning not in MEANINGS[family]:
            raise FileError(
                f"the outputs are not those of {family}: they are {seen.why}",
                hint=f"omit family={family}, they are read as {seen.family}'s",
            )
        return described(replace(seen, family=family), network, names)
    if family in CONVENTIONS and family not in OWN:
        raise FileError(f"the outputs {shapes(network.outputs)} are not known to be {family}'s")
    result: Contract = describe_exported(
        family, network.inputs, network.outputs, names=names or None, plugins=qcore.plugins
    )
    return result


def _protocols(head: Head) -> dict[str, Any]:
    """What the family's loader describes, where it is one of a checkpoint."""
    if head.meaning == LABELLED or head.family == "yolox":
        return {}
    thresholds = {"confidence": 0.001, "iou": 0.7, "max_detections": 300, "multi_label": True}
    return {"upstream": {"postprocess": thresholds}}


def fed(made: Contract, changes: Mapping[str, Any], limits: Mapping[str, Any]) -> Contract:
    """The contract with what the file itself says of its pixels and thresholds, and what the input's type demands."""
    preprocess = dict(changes)
    if not made.inputs[0].dtype.startswith(("float", "bfloat")):
        preprocess["scale"] = None
    return replace(
        made,
        preprocess=made.preprocess.updated(preprocess),
        postprocess=Step(made.postprocess.component, {**made.postprocess.params, **limits}, made.postprocess.unknown),
    )
