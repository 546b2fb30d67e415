"""Pickled YOLOv9: saved with its branches joined, with other attributes, without its config."""

import pytest
import torch
from torch import nn

import qcore
from qcore.plugin import AssumptionWarning, FileError
from qcore_plugins._shared.folding import fold_batchnorm
from qcore_plugins.families.yolov9 import published
from qcore_plugins.families.yolov9.blocks import RepBottleneck
from qcore_plugins.families.yolov9.network import YoloV9

CONFIG = {
    "nc": 2, "anchors": 3,
    "backbone": [
        [-1, 1, "Conv", [8, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], [-1, 1, "RepNCSPELAN4", [16, 16, 8, 1]],
        [-1, 1, "AConv", [16]], [-1, 1, "SPPELAN", [16, 8]],
    ],
    "head": [[[2, 4], 1, "DDetect", ["nc"]]],
}  # fmt: skip
PICTURE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    torch.manual_seed(1)
    made = YoloV9(CONFIG, ["cat", "dog"]).eval().requires_grad_(False)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_var.uniform_(0.01, 0.1)
    return made


def same(path, network, **options):
    with torch.no_grad():
        expected, got = network(PICTURE), qcore.load(path, imgsz=64, **options).module(PICTURE)
    return torch.allclose(got, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("form", ["plain", "joined"])
def test_branches_may_be_joined(network, modules, saved, form):
    assert same(saved({"model": modules.upstream(fold_batchnorm(network) if form == "joined" else network)}), network)


def test_attributes_are_those_that_were_trained(network, modules, saved):
    for part in network.modules():
        if isinstance(part, RepBottleneck):
            part.add = not part.add
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 1e-5
    network.model[4].cv3 = nn.MaxPool2d(9, 1, 4)
    network.model[2].cv2[0].m[0].cv1.act = nn.ReLU()
    assert same(saved({"model": modules.upstream(network)}), network)


def test_pools_may_stand_in_a_block_of_their_own(network, modules, saved):
    whole = modules.upstream(network)
    network.model[4].cv2 = nn.MaxPool2d(3, 1, 1)
    whole.model[4].cv2 = modules.wrapped("models.common.SP", nn.MaxPool2d(3, 1, 1), member="m")
    assert same(saved({"model": whole}), network)


@pytest.mark.parametrize("style", ["upstream", "depthwise"])
def test_published_sizes_are_told_from_their_shapes(saved, style):
    head = "DDetect" if style == "upstream" else "Detect"
    network = YoloV9({"nc": 1, "anchors": 3, **published._rows("t", head)}, style=style).eval()
    with pytest.warns(AssumptionWarning, match="the layers of YOLOv9t, told from shapes"):
        assert same(saved({"model": network.state_dict()}), network)


def test_weights_of_no_known_size_take_a_config(network, saved, tmp_path):
    import yaml

    path = saved(network.state_dict())
    with pytest.raises(FileError, match="weights of a YOLOv9 without their config"):
        qcore.load(path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**CONFIG, "nc": 80}))
    assert same(path, network, config=str(tmp_path / "tiny.yaml"))
