"""What exported files say of themselves, in the keys of the packages that write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qcore.plugin import FileError
from qcore_kit.classes.reading import class_names
from qcore_kit.classes.text import parsed

DETECTION = {"detect", "detection", "object detection", "object_detection"}
TASKS = {"segment": "instance segmentation", "pose": "pose estimation", "classify": "image classification"}
TASKS["obb"] = "oriented boxes"
NAMES = ("names", "classes", "labels", "class_names", "character")
"""Keys of class names, the most common first; `character` is PaddlePaddle's, one name a line."""
NAMES_HINT = "pass the names with --names FILE, or --loader-option names=FILE"
MODEL_INFO = "model_info"
"""Where Model API keeps its settings: a section of rt_info, or the first word of keys of ONNX metadata."""
PADDING = {"fit_to_window_letterbox": "center", "fit_to_window": "bottom-right"}


@dataclass(frozen=True)
class Said:
    """What a file tells.

    Attributes:
        names: Class names; empty for none.
        source: Where the names were, for errors.
        size: Height and width that it was exported for.
        preprocess: Parameters of the letterbox.
        postprocess: Thresholds.
        complete: Whether its writer tells enough to run it: the task, the names and what pixels it is fed with.
        by: Whom to name as the writer.
    """

    names: tuple[str, ...] = ()
    source: str = "metadata"
    size: tuple[int, int] | None = None
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    postprocess: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False
    by: str | None = None


def writer(texts: Mapping[str, str]) -> str | None:
    """The package whose metadata say what the file is; None where they leave the head or its pixels open."""
    try:
        stored = of_texts(texts, names=False)
    except FileError:
        return "a model of the ultralytics package or of Model API"
    return f"an export with the metadata of {stored.by}" if stored.complete else None


def writer_of_model_info(info: Mapping[str, Any]) -> str | None:
    """Like `writer`, from Model API's settings."""
    try:
        stored = of_model_info(info, names=False)
    except FileError:
        return "a model with the settings of Model API"
    return "a model with the settings of Model API" if stored.complete else None


def of_texts(texts: Mapping[str, str], *, names: bool = True) -> Said:
    """Read the metadata of an ONNX file.

    Args:
        texts: Keys and values.
        names: Whether class names are wanted; others may have been given.

    Raises:
        FileError: It is for another task than detection, or its class names cannot be told.
    """
    info = {
        key.removeprefix(MODEL_INFO).strip(): value for key, value in texts.items() if key.startswith(f"{MODEL_INFO} ")
    }
    if info:
        return of_model_info(info, names=names)
    _only_detection(texts.get("task"))
    ultralytics = {"names", "stride", "task"} <= set(texts)
    preprocess: dict[str, Any] = {}
    if texts.get("stride", "").isdigit():
        preprocess["stride"] = int(texts["stride"])
    key = next((key for key in NAMES if texts.get(key)), None)
    return Said(
        names=_names(texts[key], f"metadata {key}") if key and names else (),
        source=f"metadata {key}",
        size=_size(texts.get("imgsz")),
        preprocess=preprocess if ultralytics else {},
        complete=ultralytics,
        by="the ultralytics package" if ultralytics else None,
    )


def of_model_info(info: Mapping[str, Any], *, names: bool = True) -> Said:
    """Read Model API's settings; arguments and errors as in `of_texts`.

    Raises:
        FileError: A preprocessing that the letterbox cannot do.
    """
    _only_detection(info.get("task_type") or info.get("task"))
    preprocess: dict[str, Any] = {}
    if kind := str(info.get("resize_type") or ""):
        if kind not in PADDING:
            raise FileError(
                f"rt_info: resize_type {kind}: pictures are not letterboxed, which is all that qcore does",
                hint="export the model with resize_type fit_to_window_letterbox if it was trained so",
            )
        preprocess["pad"] = PADDING[kind]
    if info.get("pad_value") not in (None, ""):
        preprocess["pad_value"] = int(float(str(info["pad_value"])))
    if any(value != 0 for value in _numbers(info.get("mean_values"))):
        raise FileError(f"rt_info: mean_values {info['mean_values']}: qcore scales pixels and subtracts nothing")
    if scales := _numbers(info.get("scale_values")):
        if len(set(scales)) > 1 or scales[0] <= 0:
            raise FileError(f"rt_info: scale_values {info['scale_values']}: qcore has one factor for all channels")
        preprocess["scale"] = None if scales[0] == 1 else 1 / scales[0]
    if (turned := _truth(info.get("reverse_input_channels"))) is not None:
        preprocess["channels"] = "RGB" if turned else "BGR"
    limits = {"confidence": info.get("confidence_threshold"), "iou": info.get("iou_threshold")}
    labels = info.get("labels")
    return Said(
        names=_labels(labels) if labels and names else (),
        source="rt_info labels",
        size=None,
        preprocess=preprocess,
        postprocess={name: float(str(value)) for name, value in limits.items() if value not in (None, "")},
        complete=bool(labels) and {"scale", "channels", "pad"} <= set(preprocess),
        by="Model API" if info else None,
    )


def _only_detection(task: Any) -> None:
    if task and str(task).strip().lower() not in DETECTION:
        name = str(task).strip().lower()
        raise FileError(
            f"made for {TASKS.get(name, name)} (task {name}), which qcore does not do",
            hint="qcore quantizes detectors; export a model with task detect",
        )


def _names(text: str, source: str) -> tuple[str, ...]:
    try:
        return tuple(class_names(parsed(text), source, hint=NAMES_HINT))
    except ValueError as error:
        raise FileError(f"{source}: {error}", hint=NAMES_HINT) from error


def _labels(value: Any) -> tuple[str, ...]:
    """Model API writes names without spaces, as a list or with spaces between them."""
    if isinstance(value, str):
        return tuple(value.split()) if value.strip()[:1] not in "[{" else _names(value, "rt_info labels")
    return tuple(class_names(value, "rt_info labels", hint=NAMES_HINT))


def _size(text: str | None) -> tuple[int, int] | None:
    """Height and width from `[480, 640]`, `640` or `480,640`."""
    sizes = [int(value) for value in _numbers(text)]
    if len(sizes) not in (1, 2) or min(sizes) <= 0:
        return None
    return sizes[0], sizes[-1]


def _numbers(value: Any) -> list[float]:
    """Numbers of a list, or of a text with commas or spaces between them."""
    parts = str(value).strip("[]() ").replace(",", " ").split() if isinstance(value, str) else value
    try:
        return [float(part) for part in (parts if isinstance(parts, Sequence) else [parts])]
    except (TypeError, ValueError):
        return []


def _truth(value: Any) -> bool | None:
    text = str(value).strip().lower()
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get(text)
