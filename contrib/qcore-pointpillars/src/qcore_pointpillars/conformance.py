"""Examples for qcore's conformance checks: `qcore check-plugin pointpillars`."""

from __future__ import annotations

import numpy as np
import torch

from qcore.testing import (
    EvaluatorConformance,
    LoaderConformance,
    PostprocessorConformance,
    PreprocessorConformance,
)
from qcore_kit.testing import ResultConformance
from qcore_pointpillars.evaluation import read_labels
from qcore_pointpillars.found import Found
from qcore_pointpillars.loader import KEY, contract, grid
from qcore_pointpillars.network import PointPillars
from qcore_pointpillars.scenes import scene, write

SMALL = {
    "area": [0.0, -7.68, -3.0, 15.36, 7.68, 1.0], "cell": 0.64, "pillars": 200, "points": 8, "width": 8, "layers": 1,
}  # fmt: skip


def untrained(path, config=SMALL):
    """A checkpoint of a network that was not trained."""
    torch.manual_seed(0)
    network = PointPillars(*grid(config), config["width"], config["layers"])
    torch.save({KEY: dict(config), "weights": network.state_dict()}, path)
    return path


class TestLoader(LoaderConformance):
    component = "pointpillars"

    def file(self, folder):
        return untrained(folder / "small.pt")


class TestPillars(PreprocessorConformance):
    component = "pillars"
    params = contract(SMALL).preprocess.params

    def tensors(self):
        return contract(SMALL).inputs

    def item(self, folder):
        path = folder / "one.bin"
        scene(0, SMALL["area"])[0].astype("<f4").tofile(path)
        return path

    def odd(self):
        far = np.full((5, 4), 1e4, np.float32)
        dense = np.random.default_rng(0).uniform((0, -7, -2, 0), (15, 7, 0, 1), (40_000, 4)).astype(np.float32)
        return [np.zeros((0, 4), np.float32), far, dense]


class TestAnchors(PostprocessorConformance):
    component = "anchors-3d"
    params = contract(SMALL).postprocess.params
    classes = ("Car",)

    def tensors(self):
        return contract(SMALL).outputs

    def outputs(self, seed):
        made = {tensor.name: np.zeros((1, *tensor.shape[1:]), np.float32) for tensor in self.tensors()}
        made["classes"] -= 8
        made["classes"][0, 30 + 80 * seed] = 3
        return made

    def nothing(self):
        return {**self.outputs(0), "classes": np.full_like(self.outputs(0)["classes"], -8)}


class TestAveragePrecision(EvaluatorConformance):
    component = "boxes-3d"

    def contract(self):
        return contract(SMALL)

    def data(self, folder):
        return write(folder, 3, 0, SMALL["area"])

    def right(self, place, item):  # noqa: ARG002
        boxes = read_labels(item.parents[1] / "labels.json")[item.name]
        return Found(boxes, np.linspace(0.9, 0.5, len(boxes)), ("Car",) * len(boxes))

    def empty(self):
        return Found(np.zeros((0, 7)), np.zeros(0), ())


class TestBirdsEye(ResultConformance):
    component = "boxes-3d"

    def result(self):
        boxes = scene(0, SMALL["area"])[1]
        return Found(boxes, np.linspace(0.9, 0.5, len(boxes)), ("Car",) * len(boxes))

    def empty(self):
        return Found(np.zeros((0, 7)), np.zeros(0), ())

    def raw(self):
        return scene(0, SMALL["area"])[0]
