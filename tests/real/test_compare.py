"""Faults planted in files of real models are found at the right step and called by their name."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import qcore
from qcore_kit.onnxfile.metadata import with_contract
from qcore_plugins.tools.compare.ladder import compare

pytestmark = [pytest.mark.assets, pytest.mark.slow]


class Model:
    """A float ONNX file of real weights, its pictures, and ways to break copies of it."""

    def __init__(self, weights, pictures, folder, **options):
        self.pictures, self.folder = pictures, folder
        self.preprocess = options.pop("preprocess", {})
        self.options, self.weights = options, weights
        self.recipe = qcore.recipe(weights, **options).with_preprocess(**self.preprocess)
        self.run = self.recipe.start()
        self.onnx = self.run.model("onnx")
        self.file = self.run.save(folder / "float", to="onnx")
        self.contract = self.onnx.contract
        self.reference = qcore.recipe(self.file).start()

    @property
    def graph(self):
        made = onnx.ModelProto()
        made.CopyFrom(self.onnx.module)
        return made

    def written(self, name, graph=None, **changes):
        path = self.folder / f"{name}.onnx"
        onnx.save(with_contract(graph or self.graph, replace(self.contract, **changes)), path)
        return path

    def quantized(self):
        recipe = self.recipe.with_quantizer("onnxruntime", calibration=self.pictures, limit=32)
        return self.run.vary(recipe.with_backend("onnxruntime"))

    def compared(self, candidate, **options):
        ready = candidate if isinstance(candidate, qcore.Run) else qcore.recipe(candidate).start()
        return compare(("REF", self.reference), ("CANDIDATE", ready), self.pictures, limit=3, **options)


@pytest.fixture(scope="module")
def yolov5(shared, tmp_path_factory):
    assets = shared / "assets"
    return Model(assets / "weights" / "yolov5n-coco.pt", assets / "coco-val" / "images", tmp_path_factory.mktemp("v5"))


@pytest.fixture(scope="module")
def yolov9(shared, tmp_path_factory):
    assets = shared / "assets"
    weights = assets / "weights" / "yolov9t-volleyball-ultralytics.pt"
    pictures = assets / "volleyball" / "calib" / "images"
    folder = tmp_path_factory.mktemp("v9")
    return Model(weights, pictures, folder, imgsz=(384, 640), preprocess={"picture_aspect": 16 / 9})


@pytest.fixture(params=["yolov5", "yolov9"])
def model(request):
    return request.getfixturevalue(request.param)


def named(found):
    """The first step that fails, and the names of its causes."""
    return (found.failed.name, [cause.name for cause in found.failed.causes]) if found.failed else None


def test_a_healthy_int8_file_passes(model):
    found = model.compared(model.quantized())
    assert named(found) is None
    assert [rung.verdict for rung in found.rungs] == ["pass"] * 5 + ["none"]


def test_batch_baked_in(model):
    found = model.compared(batched(model))
    assert named(found) == ("contract", ["batch 3 baked in"])
    assert [rung.verdict for rung in found.rungs[1:5]] == ["pass"] * 4


def batched(model):
    """The same graph for several pictures at a time, as PTQ scripts export it."""
    base = qcore.recipe(model.weights, batch=3, **model.options).with_preprocess(**model.preprocess)
    return base.with_backend("onnxruntime").start()


def test_suppression_in_one_only(model):
    found = model.compared(model.run.vary(model.recipe.with_head("nms").with_backend("onnxruntime")))
    assert named(found) == ("contract", ["NMS in one only"])
    detections = next(rung for rung in found.rungs if rung.name == "detections")
    assert detections.verdict == "pass"
    assert found.rungs[2].verdict == "none"


def test_scales_that_follow_the_input(model):
    graph = model.graph
    convolution = [node for node in graph.graph.node if node.op_type == "Conv"][5]
    source = convolution.input[0]
    convolution.input[0] = "rounded"
    place = list(graph.graph.node).index(convolution)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", [source], ["integers", "scale", "point"], "dynamic"),
        helper.make_node("DequantizeLinear", ["integers", "scale", "point"], ["rounded"], "back"),
    ]
    for node in reversed(nodes):
        graph.graph.node.insert(place, node)
    found = model.compared(model.written("dynamic", graph))
    assert named(found) is None
    assert [cause.name for cause in found.rungs[3].causes] == ["scales are computed at run time"]


def test_channels_swapped_in_the_graph(model):
    graph = model.graph
    first = next(node for node in graph.graph.node if node.op_type == "Conv")
    weight = next(tensor for tensor in graph.graph.initializer if tensor.name == first.input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[:, ::-1].copy(), weight.name))
    found = model.compared(model.written("swapped", graph))
    assert named(found) == ("raw tensors", ["BGR swapped"])


def test_channels_swapped_in_the_contract(model):
    found = model.compared(model.written("bgr", preprocess=model.contract.preprocess.updated({"channels": "BGR"})))
    assert named(found) == ("contract", ["other preprocessing"])
    assert [cause.name for cause in found.rungs[1].causes] == ["BGR swapped"]


def test_a_stretched_input(model):
    import cv2

    height, width = model.contract.inputs[0].shape[2:]

    def stretched(item, raw):
        return cv2.resize(raw, (width, height))[None, ..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 255

    found = model.compared(model.file, foreign=stretched)
    assert named(found) == ("preprocessing", ["stretched input"])


def test_a_quantized_score_tail(model):
    graph = model.graph
    output = graph.graph.output[0].name
    maker = next(node for node in graph.graph.node if output in node.output)
    maker.output[list(maker.output).index(output)] = "whole"
    size = max(model.contract.inputs[0].shape[2:])
    stored = {"tail_scale": np.float32(size / 255), "tail_point": np.uint8(0)}
    graph.graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in stored.items())
    graph.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", ["whole", *stored], ["tail"], "tail_quantize"),
            helper.make_node("DequantizeLinear", ["tail", *stored], [output], "tail_dequantize"),
        ]
    )
    found = model.compared(model.written("tail", graph))
    step, causes = named(found)
    assert step == "raw tensors"
    assert "quantized tail: class scores" in causes


def test_a_layer_of_twice_the_size(yolov5):
    graph = yolov5.graph
    layer = [node for node in graph.graph.node if node.op_type == "Conv"][7]
    weight = next(tensor for tensor in graph.graph.initializer if tensor.name == layer.input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(2), weight.name))
    found = yolov5.compared(yolov5.written("doubled", graph))
    assert found.failed.name == "raw tensors"
    assert found.cause.name == "another scale: model.3.conv"
    assert "2 times the values of REF" in found.cause.text


def test_boxes_in_parts_of_the_input(yolov5):
    graph = yolov5.graph
    output = graph.graph.output[0].name
    maker = next(node for node in graph.graph.node if output in node.output)
    maker.output[list(maker.output).index(output)] = "pixels"
    factor = np.ones(85, np.float32)
    factor[:4] /= 640
    graph.graph.initializer.append(numpy_helper.from_array(factor, "parts"))
    graph.graph.node.append(helper.make_node("Mul", ["pixels", "parts"], [output], "to_parts"))
    found = yolov5.compared(yolov5.written("parts", graph))
    assert named(found) == ("raw tensors", ["another scale: boxes"])
    assert "1/640 times" in found.cause.text


def test_calibrated_at_another_shape(model):
    said = {**model.contract.provenance, "calibration": {"pictures": 64, "shape": [1, 3, 320, 320]}}
    found = model.compared(model.written("shape", provenance=said))
    assert named(found) == ("contract", ["calibrated at another shape"])


def rescaled(model, name, place, factor):
    """The quantized file with one activation's scale changed."""
    quantized = model.quantized().model()
    graph = onnx.ModelProto()
    graph.CopyFrom(quantized.module)
    changed = [node for node in graph.graph.node if node.op_type == "QuantizeLinear"][place]
    scale = next(tensor for tensor in graph.graph.initializer if tensor.name == changed.input[1])
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(factor), scale.name))
    path = model.folder / f"{name}.onnx"
    onnx.save(with_contract(graph, quantized.contract), path)
    return path


def test_a_range_of_a_dummy_input(yolov5):
    """A scale fixed at the range of zeros or noise: the first layer that suffers is named, with what it cuts."""
    path = rescaled(yolov5, "dummy", 3, 1 / 50)
    found = yolov5.compared(path)
    inside = found.rungs[3]
    assert inside.verdict == "fail"
    assert inside.causes[0].name == "range too small"
    assert f"first below 3 dB: {inside.figures['first_below']}" in inside.summary


def test_a_scale_that_is_too_coarse_early_on_is_noted_even_where_its_noise_is_forgiven(yolov5):
    path = rescaled(yolov5, "early", 20, 50)
    inside = yolov5.compared(path).rungs[3]
    assert inside.verdict in ("note", "fail")
    assert "scale too coarse" in [cause.name for cause in inside.causes]
