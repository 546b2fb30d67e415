"""What our own exporters write is not complained of: every family, every profile, float and quantized."""

import numpy as np
import onnx
import pytest
import torch

import qcore
from qcore.plugin import Form, Tensor
from qcore_kit.checkpoints.stored import Stored
from qcore_kit.detectors.contracts import contract
from qcore_kit.quantization.calibration import ranges
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.placement import candidates
from qcore_kit.quantization.table import ScaleTable, weight_scales
from qcore_kit.quantization.writer import write
from qcore_plugins._shared.exporter.onnx import export
from qcore_plugins.families.yolonas.loader import build as yolonas
from qcore_plugins.families.yolov5.loader import build as yolov5
from qcore_plugins.families.yolov9.loader import build as yolov9
from qcore_plugins.runtimes.onnxruntime.profile import ONNXRUNTIME
from qcore_plugins.runtimes.openvino.profile import OPENVINO
from qcore_plugins.runtimes.tensorrt.profile import TENSORRT
from qcore_plugins.tools.check import checking

PROFILES = {profile.name: profile for profile in (ONNXRUNTIME, OPENVINO, TENSORRT)}

SHAPE = (1, 3, 64, 64)
BUILD = {
    "yolov5n": ("yolov5", lambda document, weights, name: yolov5(document["config"], weights, [], None, name)),
    "gelan-t": ("yolov9", lambda document, weights, name: yolov9(Stored(document["config"], weights, []), name)),
    "yolov9-t": ("yolov9", lambda document, weights, name: yolov9(Stored(document["config"], weights, []), name)),
    "yolo_nas_s": ("yolonas", lambda _, weights, name: yolonas(weights, name)),
}


def complaints(path, target, host, cpu="this"):
    return [
        (one.rule, one.where, one.message)
        for one in checking.check(path, target, plugins=host, cpu=cpu).findings
        if one.severity != "info"
    ]


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize("name", BUILD)
def test_files_of_every_family_are_clean(upstream, host, tmp_path, name):
    """Weights by rule, ranges as calibration finds them; no contract, so that nothing is taken on trust."""
    family, build = BUILD[name]
    document, weights, _, _ = upstream(family, name)
    module = build(document, weights, name).eval()
    with torch.no_grad():
        given = module(torch.zeros(SHAPE))
    given = given if isinstance(given, (tuple, list)) else (given,)
    said = [Tensor(f"out{place}", "float32", tuple(value.shape)) for place, value in enumerate(given)]
    float_ = export(module, contract(SHAPE, said, [], preprocess={}, postprocess={}, protocols={}))[1]
    graph = from_onnx(float_)
    batches = [{"images": np.random.default_rng(0).random(SHAPE, np.float32)}]
    table = ScaleTable.make(
        float_, ranges(float_, graph, batches, "minmax"), weight_scales(graph, float_), needed=candidates(graph)
    )
    path = tmp_path / "model.onnx"
    onnx.save(float_, path)
    assert [one for target in PROFILES for one in complaints(path, target, host)] == []
    for target, profile in PROFILES.items():
        onnx.save(write(table, profile), path)
        assert complaints(path, target, host, cpu="vnni") == []  # weights that no quantizer has narrowed


@pytest.mark.parametrize("head", ["decoded", "raw", "nms"])
def test_files_with_their_contract_are_clean(exported, checkpoint, pictures, host, tmp_path, head):
    """As the command line makes them; the suppression inside the graph is an error on TensorRT alone."""
    ending = "nms" if head == "nms" else None
    base = qcore.recipe(checkpoint, head="raw") if head == "raw" else qcore.recipe(exported).with_head(ending)
    run = base.start()
    quantized = run.vary(base.with_quantizer("onnxruntime", calibration=pictures / "images", limit=2))
    float_ = run.save(tmp_path / "float", to=Form("onnx", head=ending))
    for target in PROFILES:
        int8 = quantized.save(tmp_path / target, to=Form("onnx", profile=target, head=ending))
        expected = {"TRT007"} if (head, target) == ("nms", "tensorrt") else set()
        for made in (float_, int8):
            assert {rule for rule, _, _ in complaints(made, target, host)} == expected, made


@pytest.mark.parametrize("pattern", ["model.1.*", "*cv1*"])
def test_layers_left_float_are_clean(exported, pictures, host, tmp_path, pattern):
    options = {"calibration": pictures / "images", "limit": 1, "exclude": (pattern,)}
    excluding = qcore.recipe(exported).with_quantizer("onnxruntime", **options).start()
    for target in PROFILES:
        made = excluding.save(tmp_path / target, to=Form("onnx", profile=target))
        assert complaints(made, target, host) == []


def test_a_dynamic_batch_is_clean(checkpoint, host, tmp_path):
    made = qcore.recipe(checkpoint, batch="dynamic").start().save(tmp_path, to="onnx")
    for target in PROFILES:
        assert complaints(made, target, host) == []
