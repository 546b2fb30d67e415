"""The loader `pointpillars`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qcore.plugin import Contract, FileError, Form, Model, Step, Tensor
from qcore_kit.checkpoints.plain import plain
from qcore_pointpillars.network import ANCHORS, PointPillars

KEY = "pointpillars"
"""Of the configuration in a checkpoint, beside `weights`."""
CONFIG = {
    "area": [0.0, -15.36, -3.0, 30.72, 15.36, 1.0],
    "cell": 0.32,
    "pillars": 1500,
    "points": 16,
    "width": 32,
    "layers": 2,
}
"""The KITTI configuration, in small: half its range, pillars of twice the edge, half the channels."""
LARGEST = 16_384
"""Of counts in a configuration; KITTI's has up to 12000 pillars, in 496 x 432 cells."""


def grid(config: Mapping[str, Any]) -> tuple[int, int]:
    """Rows (y) and columns (x) of pillars; a multiple of 8, as the backbone halves them three times."""
    area = config["area"]
    rows, columns = (round((area[axis + 3] - area[axis]) / config["cell"]) for axis in (1, 0))
    return rows, columns


def contract(config: Mapping[str, Any]) -> Contract:
    """What goes into and comes out of a network of that configuration."""
    rows, columns = grid(config)
    count = rows * columns // 4 * ANCHORS
    area = {"area": list(config["area"])}
    return Contract(
        task="detection-3d",
        inputs=(
            Tensor("pillars", "float32", ("batch", 9, config["pillars"], config["points"])),
            Tensor("cells", "int64", ("batch", config["pillars"])),
        ),
        outputs=(
            Tensor("classes", "float32", ("batch", count, 1), stage="raw"),
            Tensor("boxes", "float32", ("batch", count, 7), stage="raw"),
            Tensor("directions", "float32", ("batch", count, 2), stage="raw"),
        ),
        preprocess=Step("pillars", {**area, "cell": config["cell"]}),
        postprocess=Step(
            "anchors-3d", {**area, "stride": 2 * config["cell"], "confidence": 0.1, "iou": 0.05, "limit": 100}
        ),
        classes=("Car",),
    )


class PointPillarsLoader:
    """Checkpoints with a configuration under `pointpillars` and a state dict under `weights`."""

    def matches(self, content: Any) -> str | None:
        """`PointPillars` and its grid, or None."""
        data = content.data
        if not isinstance(data, Mapping) or not isinstance(data.get(KEY), Mapping) or "weights" not in data:
            return None
        return "PointPillars"

    def load(self, content: Any, *, options: Mapping[str, Any]) -> Model:  # noqa: ARG002
        """The float model with its contract.

        Raises:
            FileError: The configuration is damaged, or the weights are not its network's.
        """
        config = checked(plain(content.data[KEY]), content.path)
        network = PointPillars(*grid(config), config["width"], config["layers"])
        weights = content.data["weights"]
        wanted = network.state_dict()
        if not isinstance(weights, Mapping) or set(weights) != set(wanted):
            odd = set(weights) ^ set(wanted) if isinstance(weights, Mapping) else wanted
            raise FileError(
                f"{content.path}: not the weights of its own configuration ({min(odd, key=str)})",
                hint="train it again with python -m qcore_pointpillars.train",
            )
        for name, tensor in wanted.items():
            got = weights[name]
            if getattr(got, "shape", None) != tensor.shape or not np.isfinite(got.double().numpy()).all():
                raise FileError(
                    f"{content.path}: {name} is no array of finite numbers of shape {list(tensor.shape)}",
                    hint="train it again with python -m qcore_pointpillars.train",
                )
        network.load_state_dict(dict(weights))
        rows, columns = grid(config)
        return Model(
            Form("torch", encoding="float", precision="f32"),
            network.eval(),
            contract(config),
            notes={"variant": f"{rows} x {columns} pillars, {config['width']} channels"},
        )


def checked(config: Any, path: Any) -> dict[str, Any]:
    """The configuration with numbers in it.

    Raises:
        FileError: A field is missing, or no such number.
    """
    try:
        area = [float(value) for value in config["area"]]
        counts = {name: int(config[name]) for name in ("pillars", "points", "width", "layers")}
        made = {"area": area, "cell": float(config["cell"]), **counts}
        sizes = grid(made) if len(area) == 6 and made["cell"] > 0 else (0, 0)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileError(f"{path}: damaged PointPillars configuration ({type(error).__name__}: {error})") from error
    if not all(0 < value <= LARGEST for value in (*counts.values(), *sizes)) or any(size % 8 for size in sizes):
        raise FileError(
            f"{path}: PointPillars configuration {made} makes no network",
            hint="the area has to be a multiple of 8 cells",
        )
    return made
