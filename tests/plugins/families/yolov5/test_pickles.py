"""Pickled YOLOv5 as people have it: every attribute counts, and the network is found wherever it is wrapped."""

import copy
from argparse import Namespace
from functools import partial

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.nn.utils import prune

import qcore
from qcore.plugin import AssumptionWarning, FileError
from qcore_plugins._shared.folding import fold_batchnorm
from qcore_plugins.families.yolov5.network import YoloV5

CONFIG = {
    "nc": 2, "depth_multiple": 0.33, "width_multiple": 0.125, "anchors": [[8, 9, 20, 21]] * 2,
    "backbone": [
        [-1, 1, "Conv", [64, 6, 2, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 1, "C3", [128]],
        [-1, 1, "Conv", [256, 3, 2]], [-1, 1, "SPPF", [256, 5]], [-1, 1, "Conv", [256, 3, 2]],
    ],
    "head": [
        [-1, 1, "nn.Upsample", ["None", 2, "nearest"]], [[-1, 4], 1, "Concat", [1]], [-1, 1, "C3", [256, False]],
        [[8, 5], 1, "Detect", ["nc", "anchors"]],
    ],
}  # fmt: skip
PICTURE = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    torch.manual_seed(1)
    made = YoloV5(CONFIG, ["cat", "dog"]).eval().requires_grad_(False)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_var.uniform_(0.001, 0.02)
    return made


def computed(module):
    with torch.no_grad():
        return module(PICTURE)


def same(path, expected, **options):
    got = computed(qcore.load(path, imgsz=64, **options).module)
    return torch.allclose(got, expected, atol=1e-3, rtol=1e-4)


def put(place, made):
    return lambda network: network.set_submodule(place, made())


def each(kind, **values):
    def change(network):
        for part in network.modules():
            if isinstance(part, kind):
                for name, value in values.items():
                    setattr(part, name, value)

    return change


def activations(make):
    def change(network):
        for name, part in list(network.named_modules()):
            if name.endswith(".act") and not isinstance(part, nn.Identity):
                network.set_submodule(name, make())

    return change


SERVED = {
    "nothing": each(nn.BatchNorm2d),
    "eps": each(nn.BatchNorm2d, eps=1e-5),
    "pool": put("model.4.m", lambda: nn.MaxPool2d(9, 1, 4)),
    "average": put("model.4.m", lambda: nn.AvgPool2d(5, 1, 2)),
    "no-shortcut": lambda network: setattr(network.model[2].m[0], "add", False),
    "shortcut": lambda network: setattr(network.model[8].m[0], "add", True),
    "dilation": lambda network: each(nn.Conv2d, dilation=(2, 2), padding=(2, 2))(network.model[3]),
    "padding-mode": lambda network: each(nn.Conv2d, padding_mode="replicate")(network.model[0]),
    "kernel": put("model.1.conv", lambda: nn.Conv2d(8, 16, 5, 2, 2, bias=False)),
    "groups": put("model.1.conv", lambda: nn.Conv2d(8, 16, 3, 2, 1, groups=4, bias=False)),
    "bias": put("model.1.conv", lambda: nn.Conv2d(8, 16, 3, 2, 1)),
    "elu": activations(lambda: nn.ELU(0.3)),
    "relu": activations(nn.ReLU),
    "leaky": activations(lambda: nn.LeakyReLU(0.2)),
    "hardswish": activations(nn.Hardswish),
    "gelu": activations(lambda: nn.GELU("tanh")),
    "prelu": activations(lambda: nn.PReLU(1, 0.3)),
    "bilinear": put("model.6", lambda: nn.Upsample(None, 2.0, "bilinear")),
    "corners": put("model.6", lambda: nn.Upsample(None, 2.0, "bilinear", align_corners=True)),
    "without-affine": put("model.1.bn", lambda: nn.BatchNorm2d(16, affine=False).eval()),
}


@pytest.mark.parametrize("name", SERVED)
def test_attributes_are_those_that_were_trained(network, modules, saved, name):
    SERVED[name](network)
    assert same(saved({"model": modules.upstream(network), "ema": None}), computed(network))


REFUSED = {
    "norm": (put("model.1.bn", lambda: nn.GroupNorm(4, 16)), r"model\.1\.bn is a GroupNorm.* makes it a BatchNorm2d"),
    "statistics": (
        put("model.1.bn", lambda: nn.BatchNorm2d(16, track_running_stats=False)),
        r"model\.1\.bn is a BatchNorm that normalizes each batch by itself",
    ),
    "activation": (activations(nn.Softsign), r"model\.0\.act is a Softsign"),
    "transposed": (put("model.6", lambda: nn.ConvTranspose2d(32, 32, 2, 2)), r"model\.6 is a ConvTranspose2d"),
    "added": (lambda network: setattr(network.model[4], "add", True), r"model\.4 has add True"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_computed_is_refused_by_name(network, modules, saved, name):
    change, message = REFUSED[name]
    change(network)
    with pytest.raises(FileError, match=message):
        qcore.load(saved({"model": modules.upstream(network)}))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_hook_is_refused_by_name(network, modules, saved):
    whole = modules.upstream(network)
    nn.utils.weight_norm(whole.model[1].conv)
    with pytest.raises(FileError, match=r"model\.1\.conv has the hook torch\.nn\.utils\.weight_norm\.WeightNorm"):
        qcore.load(saved({"model": whole}))


def test_another_method_in_place_of_forward_is_refused(network, modules, saved):
    whole = modules.upstream(network)

    def forward_twice(self, x):
        return x

    modules.kind("models.common.Conv", nn.Module).forward_twice = forward_twice
    whole.model[1].forward = whole.model[1].forward_twice
    with pytest.raises(FileError, match=r"model\.1 runs forward_twice instead of its own forward"):
        qcore.load(saved({"model": whole}))


def test_a_block_of_another_class_is_refused_by_name(network, modules, saved):
    whole = modules.upstream(network)
    block = whole.model[2].m[0]
    block.__class__ = modules.kind("models.common.BottleneckCBAM", type(block))
    with pytest.raises(FileError, match=r"model\.2\.m\.0 is a BottleneckCBAM.* makes it a Bottleneck"):
        qcore.load(saved({"model": whole}))


def test_inputs_of_the_layers_are_the_pickled_ones(network, modules, saved):
    whole = modules.upstream(network)
    for row, layer in zip(network.rows, whole.model, strict=True):
        layer.f = list(row.sources) if len(row.sources) > 1 else row.sources[0]
    assert same(saved({"model": whole}), computed(network))
    whole.model[9].f = [5, 8]
    assert qcore.load(saved({"model": whole}), imgsz=64).notes["strides"] == "16, 8"


def test_strides_of_another_network_are_refused(network, modules, saved):
    whole = modules.upstream(network, stride=torch.tensor([16.0, 32.0]))
    with pytest.raises(FileError, match="strides"):
        qcore.load(saved({"model": whole}))


def fused(whole, bound):
    for part in whole.modules():
        if "bn" in part._modules and "conv" in part._modules:
            part.conv, part.bn = nn.utils.fusion.fuse_conv_bn_eval(part.conv, part.bn), None
            del part._modules["bn"]
            part.__dict__["bn"] = None
            if bound:
                part.forward = part.forward_fuse
    return whole


def wrappings(modules, whole):
    """Name -> what is saved."""
    backend = partial(modules.wrapped, "models.common.DetectMultiBackend")
    shape = partial(modules.wrapped, "models.common.AutoShape")
    averager = partial(modules.wrapped, "utils.torch_utils.ModelEMA", member="ema", updates=3)
    return {
        "bare": lambda: whole,
        "ema": lambda: {"model": None, "ema": whole},
        "data-parallel": lambda: {"model": nn.DataParallel(whole)},
        "autoshape": lambda: shape(whole, yaml=CONFIG, names=["a", "b"]),
        "backend": lambda: {"model": backend(whole, pt=True)},
        "hub": lambda: shape(backend(whole)),
        "averager": lambda: {"model": None, "ema": averager(whole)},
        "pair": lambda: {"model": None, "ema": (whole, 1200)},
        "fused": lambda: {"model": fused(whole, bound=False)},
        "fused-and-bound": lambda: {"model": fused(whole, bound=True)},
        "fused-inside": lambda: {"model": backend(fused(whole, bound=True))},
    }


WRAPPED = [
    "bare", "ema", "data-parallel", "autoshape", "backend", "hub", "averager", "pair", "fused", "fused-and-bound",
    "fused-inside",
]  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_the_network_is_found_where_it_is_wrapped(network, modules, saved, name):
    path = saved(wrappings(modules, modules.upstream(network))[name]())
    assert same(path, computed(network))
    assert qcore.load(path, imgsz=64).contract.classes == ("cat", "dog")


AVERAGED = {
    "module": lambda other: other,
    "pair": lambda other: (other, 7),
    "state-dict": lambda other: other.state_dict(),
    "pair-of-state-dict": lambda other: [other.state_dict(), 7],
    "parallel": lambda other: {f"module.{key}": value for key, value in other.state_dict().items()},
    "parameters": lambda other: {"decay": 0.9, "shadow": dict(other.named_parameters())},
}


@pytest.mark.parametrize("kind", AVERAGED)
def test_averaged_weights_are_used_however_they_are_kept(network, modules, saved, kind):
    other = copy.deepcopy(network)
    for weight in other.parameters():
        weight.mul_(0.9)
    averaged = AVERAGED[kind](modules.upstream(other))
    assert same(saved({"model": modules.upstream(network), "ema": averaged}), computed(other))


def test_raw_weights_are_not_taken_for_averaged_ones(network, modules, saved):
    path = saved({"model": modules.upstream(network), "ema": {"decay": 0.9, "updates": 7}})
    with pytest.raises(FileError, match="averaged weights under ema are a dict"):
        qcore.load(path)


def test_counters_and_masks_and_missing_counts_change_nothing(network, modules, saved):
    whole = modules.upstream(network)
    for part in whole.modules():
        part.register_buffer("total_ops", torch.zeros(1, dtype=torch.float64))
        part._buffers.pop("num_batches_tracked", None)
    assert same(saved({"model": whole}), computed(network))


def test_pruned_weights_are_weight_times_mask(network, modules, saved):
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            prune.l1_unstructured(part, "weight", 0.3)
    path = saved({"model": modules.upstream(network)})
    assert same(path, computed(network))


def test_channels_that_were_pruned_are_those_of_the_pickle(network, modules, saved):
    block = network.model[2].m[0]
    block.cv1.conv, block.cv1.bn = nn.Conv2d(8, 5, 1, bias=False), nn.BatchNorm2d(5, eps=0.001).eval()
    block.cv2.conv = nn.Conv2d(5, 8, 3, 1, 1, bias=False)
    assert same(saved({"model": modules.upstream(network)}), computed(network))
    plain = {"family": "yolov5", "config": CONFIG, "names": ["a", "b"], "state_dict": network.state_dict()}
    with pytest.raises(FileError, match=r"cv1\.conv\.weight is \[5, 8, 1, 1\]") as caught:
        qcore.load(saved(plain))
    assert "channels were pruned" in caught.value.hint


def test_quantizers_are_left_out_and_told(network, modules, saved):
    whole = modules.upstream(network)
    convolutions = [part for part in whole.modules() if isinstance(part, nn.Conv2d)]
    for part in convolutions:
        part.__class__ = modules.kind("pytorch_quantization.nn.modules.quant_conv.QuantConv2d", nn.Conv2d)
        quantizer = modules.kind("pytorch_quantization.nn.modules.tensor_quantizer.TensorQuantizer", nn.Module)()
        quantizer.register_buffer("_amax", torch.tensor(1.0))
        part._input_quantizer = quantizer
    with pytest.warns(AssumptionWarning, match=f"training: {len(convolutions)} quantizers"):
        assert same(saved({"model": whole}), computed(network))


@pytest.mark.parametrize(
    ("where", "size"),
    [
        ({"imgsz": 320}, (320, 320)),
        ({"train_args": {"imgsz": [384, 640]}}, (384, 640)),
        ({"train_args": {"imgsz": "384,640"}}, (384, 640)),
        ({"opt": Namespace(imgsz=np.int64(416))}, (416, 416)),
        ({"opt": {"img_size": [416, 640]}}, (416, 416)),
        ({"opt": OmegaConf.create({"imgsz": [384, 640]})}, (384, 640)),
        ({"train_args": {"imgsz": 330}}, (336, 336)),
        ({"train_args": {"imgsz": True}}, (640, 640)),
        ({}, (640, 640)),
    ],
)
def test_the_input_is_as_large_as_in_training(network, modules, saved, where, size):
    model = qcore.load(saved({"model": modules.upstream(network), **where}))
    assert model.contract.inputs[0].shape[2:] == size
    assert model.notes["input size"].startswith(f"{size[0]}x{size[1]}")


def test_weights_alone_take_a_config_and_names(network, saved, tmp_path):
    path = saved({"model": network.state_dict()})
    with pytest.raises(FileError, match="without their config") as caught:
        qcore.load(path)
    assert "--loader-option config=FILE" in caught.value.hint
    OmegaConf.save(OmegaConf.create({**CONFIG, "nc": 80}), tmp_path / "tiny.yaml")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    options = {"config": str(tmp_path / "tiny.yaml"), "names": str(tmp_path / "names.txt")}
    assert same(path, computed(network), **options)
    assert qcore.load(path, imgsz=64, **options).contract.classes == ("cat", "dog")


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_published_sizes_are_told_from_their_shapes(saved, form):
    from qcore_plugins.families.yolov5 import published

    backbone, head = published._p5()
    config = {
        "nc": 1,
        "depth_multiple": 0.33,
        "width_multiple": 0.125,
        "anchors": 3,
        "backbone": backbone,
        "head": head,
    }
    network = YoloV5(config).eval()
    network.detect.anchors = torch.rand(3, 3, 2)
    weights = (network if form == "plain" else fold_batchnorm(network)).state_dict()
    with pytest.warns(AssumptionWarning, match="told from shapes"):
        assert same(saved({f"module.{key}": value for key, value in weights.items()}), computed(network))


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_other_channels_than_three(modules, saved, channels):
    network = YoloV5({**CONFIG, "ch": channels}, ["cat", "dog"]).eval()
    for config in ({**CONFIG, "ch": channels}, CONFIG):
        model = qcore.load(saved({"model": modules.upstream(network, yaml=config)}), imgsz=64)
        assert model.contract.inputs[0].shape == (1, channels, 64, 64)
        assert model.contract.preprocess.params["channels"] == ("gray" if channels == 1 else "given")
        picture = torch.rand(1, channels, 64, 64)
        with torch.no_grad():
            assert torch.allclose(model.module(picture), network(picture), atol=1e-3)
