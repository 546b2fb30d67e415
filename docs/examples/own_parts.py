"""A loader and a backend of one's own, and a bundled quantizer between them: python docs/examples/own_parts.py.

The network is made by hand and finds bright squares: nothing is downloaded, and it is clear what has to come out.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

import qcore
from qcore.plugin import BackendSpec, Contract, Form, LoaderSpec, Model, Step, Tensor

CELL = 16


class BrightSquares(nn.Module):
    """One box a cell of 16x16 pixels, its score the brightness of the cell: `[B, 4 + 1, cells]`."""

    def __init__(self, size):
        super().__init__()
        self.mean = nn.Conv2d(3, 8, CELL, CELL)
        self.act = nn.SiLU()
        self.score = nn.Conv2d(8, 1, 1)
        nn.init.constant_(self.mean.weight, 8 / (3 * CELL * CELL))
        nn.init.constant_(self.mean.bias, -2.0)
        nn.init.constant_(self.score.weight, 0.5)
        nn.init.constant_(self.score.bias, -8.0)
        middles = (torch.arange(size // CELL) + 0.5) * CELL
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        sides = torch.full_like(x, float(CELL))
        self.register_buffer("boxes", torch.stack((x, y, sides, sides)).reshape(1, 4, -1))

    def forward(self, picture):
        scores = self.score(self.act(self.mean(picture))).sigmoid()
        return torch.cat((self.boxes.expand(len(picture), -1, -1), scores.flatten(2)), 1)


class BrightLoader:
    """Reads the checkpoints that this script writes."""

    spec = LoaderSpec(
        name="bright",
        summary="Hand-made detectors of bright squares",
        format="checkpoint",
        produces=Form("torch", encoding="float", precision="f32"),
    )

    def matches(self, content):
        return "bright squares" if content.data.get("family") == "bright" else None

    def load(self, content, *, options):
        size = content.data["size"]
        contract = Contract(
            task="detection",
            inputs=(Tensor("picture", "float32", (1, 3, size, size), "NCHW"),),
            outputs=(Tensor("found", "float32", (1, 5, (size // CELL) ** 2), None, "boxes-classes", "decoded"),),
            preprocess=Step("letterbox", {"pad_value": 0}),
            postprocess=Step("yolo", {"confidence": 0.5}),
            classes=("square",),
        )
        return Model(self.spec.produces, BrightSquares(size).eval(), contract)


class Stopwatch:
    """Runs ONNX files and keeps the time of every inference."""

    spec = BackendSpec(
        name="stopwatch",
        summary="ONNX Runtime with a stopwatch",
        accepts=(
            Form("onnx", encoding="qdq", profile="onnxruntime"),
            Form("onnx", encoding="float"),
        ),
    )

    def __init__(self):
        self.seconds = []
        self.executed_precision = ""

    def compile(self, model, *, options):
        self.session = onnxruntime.InferenceSession(model.module.SerializeToString())
        self.executed_precision = model.form.encoding
        return self

    def run(self, inputs):
        start = time.perf_counter()
        found = dict(zip(["found"], self.session.run(["found"], dict(inputs)), strict=True))
        self.seconds.append(time.perf_counter() - start)
        return found


def pictures(count, seed):
    """Dark noise with one bright cell each, and where it is."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        picture = rng.integers(0, 60, (128, 128, 3), np.uint8)
        row, column = rng.integers(0, 8, 2) * CELL
        picture[row : row + CELL, column : column + CELL] = 250
        yield picture, [float(column), float(row), float(column + CELL), float(row + CELL)]


def main():
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "bright.pt"
        torch.save({"family": "bright", "size": 128}, weights)
        watch = Stopwatch()
        calibration = [picture for picture, _ in pictures(16, seed=1)]
        base = qcore.recipe(weights, BrightLoader())
        int8 = base.with_quantizer("onnxruntime", calibration=calibration).with_backend(watch)
        detector = int8.start().predictor()
        right = 0
        for picture, box in pictures(20, seed=2):
            found = detector(picture)
            right += len(found) == 1 and found.xyxy[0].tolist() == box
        print(f"{right} of 20 squares found in {detector.executed_precision}, {1e3 * min(watch.seconds):.2f} ms")
        return right


if __name__ == "__main__":
    raise SystemExit(main() != 20)
