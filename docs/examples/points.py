"""A model of two inputs that are no pictures: clouds of points with a mask, classified by shape.

    python points.py work/                                # writes clouds, labels and points.onnx; prints a table
    export QCORE_PLUGINS=points.py
    qcore quantize work/points.onnx --calib work/calibration --quantizer onnxruntime -o work/int8
    qcore eval work/points.onnx --data work/labels.json

The network is PointNet in small: the same layers for every point, the largest value of each feature over the points
that are there, a linear layer. Its first layers are random, the last one is solved for, so nothing is trained.
"""

import json
import sys
from pathlib import Path

import numpy as np

import qcore
from qcore.plugin import (
    Contract,
    EvaluatorSpec,
    FileError,
    Option,
    PostprocessorSpec,
    Prepared,
    PreprocessorSpec,
    Step,
    Tensor,
    hookimpl,
)
from qcore_kit.kinds import ResultSpec

SHAPES = ("sphere", "cube", "disc", "line")
POINTS = 96
"""Rows of the tensor; a cloud has fewer or more points, and is padded or thinned out."""


class Clouds:
    """Reads CSV files of `x,y,z` rows; gives `points` [1, 3, POINTS] and `mask` [1, 1, POINTS], 1 where a point is."""

    def __init__(self, params, inputs):
        self.scale = params.get("scale", 1.0)
        self.names = [tensor.name for tensor in inputs]
        self.count = inputs[0].shape[2]

    def expand(self, source):
        path = Path(source)
        found = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not found:
            raise FileError(f"{path}: holds no .csv file", hint="name a folder of clouds")
        return found

    def read(self, item):
        try:
            return np.loadtxt(item, dtype=np.float32, delimiter=",", ndmin=2)
        except (OSError, ValueError) as error:
            raise FileError(f"{item}: not rows of x,y,z", hint="write three numbers a line") from error

    def prepare(self, raw):
        cloud = raw[:: max(1, -(-len(raw) // self.count))]
        cloud = (cloud - cloud.mean(0)) / max(np.abs(cloud - cloud.mean(0)).max(), 1e-6) * self.scale
        points = np.zeros((1, 3, self.count), np.float32)
        mask = np.zeros((1, 1, self.count), np.float32)
        points[0, :, : len(cloud)], mask[0, :, : len(cloud)] = cloud.T, 1
        return Prepared(dict(zip(self.names, (points, mask), strict=True)), len(cloud))

    def example(self):
        return np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)


class MostLikely:
    """The class with the largest score."""

    def __init__(self, params, outputs, classes):
        self.name, self.classes = outputs[0].name, classes

    def __call__(self, outputs, contexts):
        rows = outputs[self.name][: len(contexts)]
        return [(self.classes[row.argmax()], float(np.exp(row.max()) / np.exp(row).sum())) for row in rows]


class Shapes:
    """Results as records, and as a line of text."""

    def records(self, result):
        return [{"class": result[0], "confidence": round(result[1], 4)}]

    def draw(self, raw, result, path):
        path.write_text(f"{result[0]}: {len(raw)} points\n")


class Counting:
    def __init__(self, folder, labels):
        self.items, self.labels, self.right = [folder / name for name in labels], list(labels.values()), {}

    def add(self, place, raw, result):
        if raw is not None:
            self.right[place] = result[0] == self.labels[place]

    def figures(self):
        return {"accuracy": sum(self.right.values()) / len(self.right), "clouds": len(self.right)}

    def state(self):
        return list(self.right.items())

    def merge(self, state):
        self.right.update({int(place): bool(right) for place, right in state})


class Accuracy:
    """Part of clouds whose class is right; labels are JSON, file -> class."""

    figure = "accuracy"

    def open(self, contract, data, *, options, progress):
        labels = json.loads(Path(data).read_text())
        return Counting(Path(options.get("clouds") or Path(data).parent / "clouds"), labels)

    def agreement(self, pairs, *, contract=None, against="reference"):
        same = [one[0] == other[0] for one, other in pairs]
        share = sum(same) / len(same)
        wanted = 0.95 if against == "reference" else 0.9
        return {"agree": share >= wanted, "same": share, "summary": f"{share:.1%} of {len(same)} classes are the same"}


@hookimpl
def qcore_preprocessors():
    yield PreprocessorSpec(name="clouds", summary="Clouds of points from CSV files", factory=Clouds)


@hookimpl
def qcore_postprocessors():
    yield PostprocessorSpec(name="most-likely", summary="The most likely class", factory=MostLikely)


@hookimpl
def qcore_results():
    yield ResultSpec(name="shapes", summary="Shapes as text", factory=Shapes, task="shape", suffix=".txt")


@hookimpl
def qcore_evaluators():
    yield EvaluatorSpec(
        name="shapes",
        summary="Accuracy of classes",
        factory=Accuracy,
        task="shape",
        options=(Option("clouds", "directory of the clouds (default: clouds/ beside the labels)", None, Path),),
    )


CONTRACT = Contract(
    task="shape",
    inputs=(
        Tensor("points", "float32", ("batch", 3, POINTS)),
        Tensor("mask", "float32", ("batch", 1, POINTS)),
    ),
    outputs=(Tensor("scores", "float32", ("batch", len(SHAPES)), meaning="scores", stage="decoded"),),
    preprocess=Step("clouds", {"scale": 1.0}),
    postprocess=Step("most-likely"),
    classes=SHAPES,
)


def cloud(shape, rng):
    """Points on a shape, turned at random and blurred: `[60..120, 3]`."""
    count = int(rng.integers(60, 121))
    points = rng.normal(size=(count, 3))
    if shape == "sphere":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    elif shape == "cube":
        points /= np.abs(points).max(1, keepdims=True)
    elif shape == "disc":
        points[:, 2] = 0
        points /= np.linalg.norm(points, axis=1, keepdims=True) / np.sqrt(rng.random((count, 1)))
    else:
        points[:, 1:] = 0
        points[:, 0] = rng.uniform(-1, 1, count)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return ((points @ turn + rng.normal(scale=0.02, size=(count, 3))) * rng.uniform(0.5, 20)).astype(np.float32)


def write_clouds(folder, count, seed):
    """CSV files of all shapes in turn; returns file name -> shape."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    labels = {}
    for number in range(count):
        shape = SHAPES[number % len(SHAPES)]
        np.savetxt(folder / f"{number:03}.csv", cloud(shape, rng), "%.6f", ",")
        labels[f"{number:03}.csv"] = shape
    return labels


def write_model(path):
    """points.onnx, with the contract inside."""
    import onnx
    from onnx import helper, numpy_helper

    from qcore_kit.onnxfile.metadata import with_contract

    rng = np.random.default_rng(5)
    first = rng.normal(size=(48, 3, 1)), rng.normal(size=48) * 0.3
    second = rng.normal(size=(128, 48, 1)) / 7, rng.normal(size=128) * 0.3
    clouds = Clouds({}, CONTRACT.inputs)
    features, wanted = [], []
    for number in range(800):
        arrays = clouds.prepare(cloud(SHAPES[number % 4], rng)).arrays
        hidden = np.maximum(first[0][:, :, 0] @ arrays["points"][0] + first[1][:, None], 0)
        hidden = np.maximum(second[0][:, :, 0] @ hidden + second[1][:, None], 0) * arrays["mask"][0]
        features.append(np.r_[hidden.max(1), 1])
        wanted.append(np.eye(4)[number % 4])
    solved = np.linalg.lstsq(np.array(features), np.array(wanted), rcond=1e-4)[0] * 8
    values = {"w1": first[0], "b1": first[1], "w2": second[0], "b2": second[1], "w3": solved[:-1], "b3": solved[-1]}
    nodes = [
        helper.make_node("Conv", ["points", "w1", "b1"], ["c1"], "first"),
        helper.make_node("Relu", ["c1"], ["r1"], "first_relu"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "second"),
        helper.make_node("Relu", ["c2"], ["r2"], "second_relu"),
        helper.make_node("Mul", ["r2", "mask"], ["there"], "masked"),
        helper.make_node("ReduceMax", ["there", "axis"], ["largest"], "largest", keepdims=0),
        helper.make_node("Gemm", ["largest", "w3", "b3"], ["scores"], "classes"),
    ]
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()]
    stored.append(numpy_helper.from_array(np.array([2], np.int64), "axis"))
    infos = [
        [helper.make_tensor_value_info(t.name, 1, t.shape) for t in tensors]
        for tensors in (CONTRACT.inputs, CONTRACT.outputs)
    ]
    graph = helper.make_graph(nodes, "points", *infos, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(with_contract(model, CONTRACT), path)


COMBINATIONS = (
    *((None, "onnxruntime"), (None, "openvino")),
    *(("onnxruntime", "onnxruntime"), ("onnxruntime", "openvino"), ("nncf", "openvino")),
)
"""(quantizer, backend)."""


def main(work):
    """Write everything, then quantize with two quantizers for two runtimes and print what each file gets right."""
    qcore.plugins.register(sys.modules[__name__], "points")
    work.mkdir(parents=True, exist_ok=True)
    labels = write_clouds(work / "clouds", 200, seed=2)
    (work / "labels.json").write_text(json.dumps(labels))
    write_clouds(work / "calibration", 60, seed=3)
    write_model(work / "points.onnx")
    base = qcore.recipe(work / "points.onnx")
    with base.start() as run:
        for quantizer, backend in COMBINATIONS:
            recipe = base.with_backend(backend)
            if quantizer:
                recipe = recipe.with_quantizer(quantizer, calibration=work / "calibration")
            file = run.vary(recipe).save(work / f"{quantizer or 'float'}-{backend}")
            found = qcore.evaluate(file, work / "labels.json", backend)
            print(f"{quantizer or 'float':<12} {backend:<12} {found.figures[found.name]:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "work"))
