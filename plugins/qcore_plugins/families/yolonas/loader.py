"""The loader `yolonas`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from qcore.plugin import FileError, Model, counted
from qcore.plugin import Tensor as TensorSpec
from qcore_kit.checkpoints import parts
from qcore_kit.checkpoints.plain import opened, plain
from qcore_kit.checkpoints.stored import left_out
from qcore_kit.checkpoints.unpickler import Checkpoint
from qcore_kit.detectors.contracts import LETTERBOX, input_shape, size_note
from qcore_plugins._shared.network import weights as strict
from qcore_plugins._shared.network.detector import levels, model, names, told
from qcore_plugins.families.yolonas.contract import POSTPROCESS, PROTOCOLS
from qcore_plugins.families.yolonas.network import YoloNas, read_shapes
from qcore_plugins.families.yolonas.pipelines import PIPELINES
from qcore_plugins.families.yolonas.processing import letterbox, trained_size

COCO_CLASSES = 80
DECIDING = "heads.head1.cls_pred.weight"
"""A key that every YOLO-NAS detector has."""


@dataclass(frozen=True)
class Found:
    """What a checkpoint holds of a YOLO-NAS.

    Attributes:
        weights: State dict without prefixes.
        processing: `processing_params` of the file, or None.
        assumed: What was left out, to be told; empty for nothing.
    """

    weights: dict[str, Tensor]
    processing: Mapping[str, Any] | None
    assumed: str = ""


class YoloNasLoader:
    """YOLO-NAS checkpoints of super-gradients: `ema_net`, `net`, or a bare state dict."""

    def matches(self, content: Checkpoint) -> str | None:
        """A few words on the model, or None where the file holds no YOLO-NAS detector."""
        detector_found = detector(content)
        return f"YOLO-NAS, {detector_found.weights[DECIDING].shape[0]} classes" if detector_found else None

    def load(self, content: Checkpoint, *, options: Mapping[str, Any]) -> Model:
        """The float model with its contract.

        Options: `imgsz` (int or (height, width)), `head` (`decoded` or `raw`), `batch`, `names` (a file), and
        `preprocessing` for files that do not say theirs.

        Raises:
            FileError: Keys or shapes do not fit, or the preprocessing is unknown.
            UsageError: The input size is not a multiple of 32.
        """
        found = detector(content)
        if found is None:
            raise FileError(
                f"{content.path}: no YOLO-NAS detector inside", hint=f"qcore inspect {content.path} without --loader"
            )
        network = build(found.weights, str(content.path))
        processing = found.processing or {}
        processor = opened(processing.get("image_processor"))
        size = trained_size(processor) if processor is not None else None
        shape = input_shape(options, 32, size or (640, 640), network.shapes.channels)
        pixels, assumed = preprocessing(
            options.get("preprocessing"), processor, network.nc, shape[2:], str(content.path)
        )
        network.names, unnamed = names(plain(processing.get("class_names")), network.nc, options, str(content.path))
        thresholds = {
            name: float(processing[key])
            for name, key in (("confidence", "conf"), ("iou", "iou"))
            if processing.get(key)
        }
        raw = options.get("head") == "raw"
        return model(
            network,
            content,
            family="yolonas",
            variant=network.shapes.variant,
            shape=shape,
            outputs=_raw(network, shape) if raw else _decoded(network, shape),
            steps={
                "preprocess": {**LETTERBOX, **pixels},
                "postprocess": {**POSTPROCESS, **thresholds},
                "protocols": PROTOCOLS,
            },
            notes={
                **size_note(options, size, shape),
                **assumed,
                **told(unnamed, assumed.get("assumed", ""), found.assumed),
            },
        )


def build(weights: Mapping[str, Tensor], file: str) -> YoloNas:
    """The network with its weights, strict about keys and shapes.

    Raises:
        FileError: A key is missing, left over, or of another shape.
    """
    try:
        network = YoloNas(read_shapes(weights))
    except KeyError as error:
        raise FileError(f"{file}: a YOLO-NAS without the tensor {error}") from error
    strict.formed(network, weights)
    strict.fill(network, weights, file)
    return network


def preprocessing(
    wanted: str | None, processor: Any, classes: int, size: tuple[int, ...], file: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters of the letterbox, and what was assumed.

    Raises:
        FileError: The file does not say, and nothing can be assumed.
    """
    if wanted is not None:
        return PIPELINES[wanted], {"preprocessing": f"{wanted}, as asked for"}
    if processor is not None:
        return letterbox(processor, (size[0], size[1]), file), {"preprocessing": "from processing_params in the file"}
    hint = "--loader-option preprocessing=coco, custom or roboflow"
    if classes != COCO_CLASSES:
        raise FileError(
            f"{file}: does not say what pixels it was trained on, and {counted(classes, 'class')} cannot be COCO's",
            hint=f"say it with {hint}; custom is the recipe for YOLO-format data: BGR, 0..255",
        )
    return PIPELINES["coco"], {
        "assumed": f"preprocessing of the COCO weights, because the file does not say and has 80 classes; else {hint}"
    }


def detector(content: Checkpoint) -> Found | None:
    """The YOLO-NAS detector in a checkpoint, or None.

    Raises:
        FileError: A YOLO-NAS for another task.
    """
    data = content.data
    if not isinstance(data, Mapping):
        return None
    weights, quantizers = parts.cleaned(_stored(data, content.path))
    if weights and all(key.startswith("module.") for key in weights):
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
    if not any(key.startswith("neck.neck1.") for key in weights):
        return None
    if any(".pose_pred" in key or ".pose_convs" in key for key in weights):
        raise FileError(f"{content.path}: a YOLO-NAS pose checkpoint; the yolonas loader reads detectors (s, m, l)")
    if DECIDING not in weights:
        raise FileError(f"{content.path}: a YOLO-NAS without the tensor {DECIDING}", hint="detectors s, m, l are read")
    processing = opened(data.get("processing_params"))
    return Found(weights, processing if isinstance(processing, Mapping) else None, left_out(quantizers))


def _stored(data: Mapping[Any, Any], file: Any) -> dict[str, Tensor]:
    """The averaged weights, else the others, else those that the checkpoint itself is."""
    if (averaged := parts.averaged(data, file, "ema_net")) is not None:
        return averaged if isinstance(averaged, dict) else {}
    inner = parts.network(data.get("net"))
    return inner if isinstance(inner, dict) else parts.tensors(data)


def _decoded(network: YoloNas, shape: Sequence[Any]) -> list[TensorSpec]:
    count = sum(height * width for height, width in levels(network, shape))
    return [
        TensorSpec("boxes", "float32", (shape[0], count, 4), None, "boxes", "decoded"),
        TensorSpec("scores", "float32", (shape[0], count, network.nc), None, "scores", "decoded"),
    ]


def _raw(network: YoloNas, shape: Sequence[Any]) -> list[TensorSpec]:
    bins = network.bins.tolist()
    return [
        TensorSpec(
            f"raw{index}",
            "float32",
            (shape[0], 4 * len(bins) + network.nc, *level),
            None,
            "boxes-classes",
            "raw",
            {"stride": int(network.strides[index]), "bins": bins},
        )
        for index, level in enumerate(levels(network, shape))
    ]
