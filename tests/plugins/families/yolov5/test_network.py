"""The rebuilt YOLOv5: upstream's outputs, upstream's parameter counts, upstream's BatchNorm."""

import pytest
import torch
from torch import nn

from qcore_plugins._shared.folding import fold_batchnorm
from qcore_plugins.families.yolov5.loader import build
from qcore_plugins.families.yolov5.network import YoloV5

ROWS_P5 = {
    "backbone": [
        [-1, 1, "Conv", [64, 6, 2, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 3, "C3", [128]],
        [-1, 1, "Conv", [256, 3, 2]], [-1, 6, "C3", [256]], [-1, 1, "Conv", [512, 3, 2]], [-1, 9, "C3", [512]],
        [-1, 1, "Conv", [1024, 3, 2]], [-1, 3, "C3", [1024]], [-1, 1, "SPPF", [1024, 5]],
    ],
    "head": [
        [-1, 1, "Conv", [512, 1, 1]], [-1, 1, "nn.Upsample", ["None", 2, "nearest"]], [[-1, 6], 1, "Concat", [1]],
        [-1, 3, "C3", [512, False]], [-1, 1, "Conv", [256, 1, 1]], [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]], [-1, 3, "C3", [256, False]], [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 14], 1, "Concat", [1]], [-1, 3, "C3", [512, False]], [-1, 1, "Conv", [512, 3, 2]],
        [[-1, 10], 1, "Concat", [1]], [-1, 3, "C3", [1024, False]], [[17, 20, 23], 1, "Detect", ["nc", "anchors"]],
    ],
}  # fmt: skip
ROWS_P6 = {
    "backbone": [
        [-1, 1, "Conv", [64, 6, 2, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 3, "C3", [128]],
        [-1, 1, "Conv", [256, 3, 2]], [-1, 6, "C3", [256]], [-1, 1, "Conv", [512, 3, 2]], [-1, 9, "C3", [512]],
        [-1, 1, "Conv", [768, 3, 2]], [-1, 3, "C3", [768]], [-1, 1, "Conv", [1024, 3, 2]], [-1, 3, "C3", [1024]],
        [-1, 1, "SPPF", [1024, 5]],
    ],
    "head": [
        [-1, 1, "Conv", [768, 1, 1]], [-1, 1, "nn.Upsample", ["None", 2, "nearest"]], [[-1, 8], 1, "Concat", [1]],
        [-1, 3, "C3", [768, False]], [-1, 1, "Conv", [512, 1, 1]], [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]], [-1, 3, "C3", [512, False]], [-1, 1, "Conv", [256, 1, 1]],
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]], [[-1, 4], 1, "Concat", [1]], [-1, 3, "C3", [256, False]],
        [-1, 1, "Conv", [256, 3, 2]], [[-1, 20], 1, "Concat", [1]], [-1, 3, "C3", [512, False]],
        [-1, 1, "Conv", [512, 3, 2]], [[-1, 16], 1, "Concat", [1]], [-1, 3, "C3", [768, False]],
        [-1, 1, "Conv", [768, 3, 2]], [[-1, 12], 1, "Concat", [1]], [-1, 3, "C3", [1024, False]],
        [[23, 26, 29, 32], 1, "Detect", ["nc", "anchors"]],
    ],
}  # fmt: skip
MULTIPLES = {"n": (0.33, 0.25), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0), "x": (1.33, 1.25)}
PARAMETERS = {
    "n": 1_872_157, "s": 7_235_389, "m": 21_190_557, "l": 46_563_709, "x": 86_749_405,
    "n6": 3_246_940, "s6": 12_626_620, "m6": 35_731_932, "l6": 76_770_172, "x6": 140_794_780,
}  # fmt: skip
"""With 80 classes, as upstream prints them."""


def config(variant, **changes):
    depth, width = MULTIPLES[variant[0]]
    rows, levels = (ROWS_P6, 4) if variant.endswith("6") else (ROWS_P5, 3)
    anchors = [[10 * 2**level, 13 * 2**level] * 3 for level in range(levels)]
    return {"nc": 80, "depth_multiple": depth, "width_multiple": width, "anchors": anchors, **rows, **changes}


@pytest.mark.parametrize("variant", PARAMETERS)
def test_parameter_counts_are_upstreams(variant):
    with torch.device("meta"):
        network = YoloV5(config(variant, anchors=3))
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[variant]
    assert network.strides == ([8, 16, 32, 64] if variant.endswith("6") else [8, 16, 32])


def test_batchnorm_has_upstreams_epsilon_and_momentum():
    norms = [part for part in YoloV5(config("n")).modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms
    assert {(part.eps, part.momentum) for part in norms} == {(1e-3, 0.03)}


def test_custom_classes_and_anchors_shape_the_head():
    network = YoloV5(config("n", nc=3, anchors=[[8, 9, 20, 21]] * 3))
    assert [tuple(part.weight.shape[:1]) for part in network.detect.m] == [(2 * 8,)] * 3
    assert torch.equal(network.detect.anchors[1] * 16, torch.tensor([[8.0, 9.0], [20.0, 21.0]]))


@pytest.mark.assets
@pytest.mark.parametrize("name", ["yolov5n", "yolov5s", "yolov5n6"])
@pytest.mark.parametrize("folded", [False, True], ids=["as-trained", "folded"])
def test_output_is_upstreams(upstream, apart, name, folded):
    document, weights, picture, outputs = upstream("yolov5", name)
    network = build(document["config"], weights, [], None, name)
    module = fold_batchnorm(network) if folded else network
    assert any(isinstance(part, nn.BatchNorm2d) for part in module.modules()) != folded
    with torch.no_grad():
        got = module(picture).numpy()
    for part in (slice(0, 4), slice(4, None)):
        assert apart(got[..., part], outputs["out0"][..., part]) < 5e-6
