"""The loader `yolov9`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from qcore.plugin import FileError, Model, counted
from qcore.plugin import Tensor as TensorSpec
from qcore_kit.checkpoints.stored import Stored, bare, stored
from qcore_kit.checkpoints.unpickler import Checkpoint
from qcore_kit.detectors.contracts import DETECT, LETTERBOX, input_shape, size_note
from qcore_plugins._shared.network import weights as strict
from qcore_plugins._shared.network.configs import HINT, config_file, no_config
from qcore_plugins._shared.network.detector import levels, model, names, told
from qcore_plugins.families.yolov9 import published
from qcore_plugins.families.yolov9.contract import MEANING, PROTOCOLS
from qcore_plugins.families.yolov9.head import BINS
from qcore_plugins.families.yolov9.network import BRANCHES, YoloV9


class YoloV9Loader:
    """YOLOv9 checkpoints of the upstream repository and of the ultralytics package."""

    def matches(self, content: Checkpoint) -> str | None:
        """A few words on the model, or None where the file holds no YOLOv9 detector."""
        if stored(content) is None:
            weights = bare(content).weights
            alone = f"YOLOv9 weights without their config, {len(weights)} tensors"
            return alone if published.is_yolov9(weights) else None
        found = detector(content)
        if found is None:
            return None
        return f"YOLOv9 {variant(found)}, {counted(found.config['nc'], 'class')}, head {found.head}"

    def load(self, content: Checkpoint, *, options: Mapping[str, Any]) -> Model:
        """The float inference model with its contract; a dual head is converted.

        Options: `imgsz` (int or (height, width)), `head` (`decoded` or `raw`), `batch`, `names` and `config` (files).

        Raises:
            FileError: The config names an unsupported block, or keys or shapes do not fit.
            UsageError: The input size is not a multiple of the largest stride.
        """
        found = detector(content, options.get("config"))
        if found is None:
            raise FileError(
                f"{content.path}: no YOLOv9 detector inside", hint=f"qcore inspect {content.path} without --loader"
            )
        if not found.config:
            raise no_config(content.path, "YOLOv9")
        listed, assumed = names(found.names, found.config["nc"], options, str(content.path))
        network = build(replace(found, names=listed), str(content.path))
        stride = int(max(network.strides))
        shape = input_shape(options, stride, found.size or (640, 640), network.channels)
        raw = options.get("head") == "raw"
        dropped = f"from {found.head}: the main branch is kept, {network.sets - 1} auxiliary dropped"
        return model(
            network,
            content,
            family="yolov9",
            variant=variant(found),
            shape=shape,
            outputs=_raw(network, shape) if raw else [_decoded(network, shape)],
            steps={
                "preprocess": {**LETTERBOX, "stride": stride},
                "postprocess": DETECT,
                "protocols": PROTOCOLS,
            },
            notes={
                **({"converted": dropped} if network.sets > 1 else {}),
                **size_note(options, found.size, shape),
                **told(assumed, found.assumed),
            },
        )


def build(found: Stored, file: str) -> YoloV9:
    """The inference network with its weights, strict about keys and shapes.

    Raises:
        FileError: A key is missing, left over, or of another shape; or the config cannot be built.
    """
    network: YoloV9 = strict.built(lambda: YoloV9(found.config, found.names or (), style=style(found)), file)
    strict.trained(network, found.config, network.converted(found.weights), found.source, file, network.renamed)
    return network


def style(found: Stored) -> str:
    """Whose class branch the head has: `upstream`, or ultralytics' `legacy` or `depthwise`."""
    if "style" in found.config:  # told from shapes
        return str(found.config["style"])
    if found.package != "ultralytics":
        return "upstream"
    return "depthwise" if any(".cv3.0.0.0.conv.weight" in key for key in found.weights) else "legacy"


def _has_shapes(found: Stored) -> bool:
    """Whether the network of a config has the keys and shapes of the weights, counts aside."""
    try:
        with torch.device("meta"):
            network = YoloV9(found.config, style=style(found))
    except FileError:
        return False
    weights = network.converted(found.weights)
    strict.formed(network, weights)

    def shapes(tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value.shape for key, value in tensors.items() if not key.endswith("_tracked")}

    return shapes(network.state_dict()) == shapes(weights)


def _weights_alone(found: Stored, given: str | None) -> Stored | None:
    if not published.is_yolov9(found.weights):
        return None
    classes = {"nc": published.classes(found.weights)}
    configs = [config_file(given)] if given else published.configs(found.weights)
    for config in configs:
        for kind in published.styles(found.weights):
            known = replace(found, config={**found.config, **config, **classes, "style": kind})
            if _has_shapes(known):
                layers = f"the layers of YOLOv9{variant(known)}, told from shapes"
                told = "" if given else f"{layers}: the file holds weights only; else {HINT}"
                return replace(known, assumed="; ".join(filter(None, (found.assumed, told))))
    # the error about what does not fit comes from building with the config that was given
    return replace(found, config={**found.config, **config_file(given), **classes} if given else {})


def detector(content: Checkpoint, config: str | None = None) -> Stored | None:
    """The YOLOv9 detector in a checkpoint, or None: a head with bins, and blocks that only YOLOv9 has.

    Args:
        content: The checkpoint.
        config: Path of a config to use instead of the file's own.

    Returns:
        Its config is empty where the file holds only weights of no known size.

    Raises:
        FileError: A YOLOv9 body with a head for another task, or one without suppression; under `ema` is something that
            is no network; or the config is none.
    """
    found = stored(content)
    if found is None:
        return _weights_alone(bare(content), config)
    if found.family not in ("", "yolov9"):
        return None
    if config:
        found = replace(found, config={**found.config, **config_file(config), "nc": found.config["nc"]})
    blocks = {row[2] for part in ("backbone", "head") for row in found.config[part]}
    if not blocks & {"RepNCSPELAN4", "ELAN1", "SPPELAN"}:
        return None
    if found.head not in BRANCHES:
        raise FileError(
            f"{content.path}: a YOLOv9 checkpoint whose head is {found.head}, which is not a detector's",
            hint=f"supported heads: {', '.join(sorted(BRANCHES))}",
        )
    if any("one2one_cv" in key for key in found.weights):
        raise FileError(f"{content.path}: an end-to-end head (one2one branches) is not supported by the yolov9 loader")
    if not any(".dfl" in key for key in found.weights):
        return None
    return replace(found, config={**found.config, "nc": published.classes(found.weights, found.config["nc"])})


def variant(found: Stored) -> str:
    """`t`, `s`, `m`, `c`, `e` or `custom`, by the widths of the first layers and the number of rows."""
    rows = [row for part in ("backbone", "head") for row in found.config[part]]
    named = [row for row in rows if row[2] in ("Conv", "ELAN1", "RepNCSPELAN4")]
    if any(row[2] == "CBLinear" for row in rows) and len(rows) > 40:
        return "e"
    first = tuple(int(row[3][0]) for row in named[:3])
    sizes: dict[tuple[int, ...], str] = {(16, 32, 32): "t", (32, 64, 64): "s", (32, 64, 128): "m", (64, 128, 256): "c"}
    return sizes.get(first, "custom")


def _decoded(network: YoloV9, shape: Sequence[Any]) -> TensorSpec:
    cells = sum(height * width for height, width in levels(network, shape))
    return TensorSpec("output0", "float32", (shape[0], 4 + network.nc, cells), None, MEANING, "decoded")


def _raw(network: YoloV9, shape: Sequence[Any]) -> list[TensorSpec]:
    return [
        TensorSpec(
            f"raw{index}",
            "float32",
            (shape[0], 4 * BINS + network.nc, *level),
            None,
            MEANING,
            "raw",
            {"stride": int(network.strides[index]), "bins": network.detect.dfl.bins.tolist()},
        )
        for index, level in enumerate(levels(network, shape))
    ]
