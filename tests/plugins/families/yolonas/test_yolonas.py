"""YOLO-NAS: upstream's outputs, sizes from shapes, and the preprocessing that the file says."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

import qcore
from qcore.plugin import AssumptionWarning, FileError
from qcore_plugins._shared.folding import fold_batchnorm
from qcore_plugins.families.yolonas.loader import build
from qcore_plugins.families.yolonas.network import TABLE, Csp, Shapes, YoloNas, read_shapes

WIDTHS = {"s": (64, 128, 256), "m": (96, 192, 384), "l": (128, 256, 512)}
PARAMETERS = {"s": 19_053_888, "m": 51_182_658, "l": 66_976_392}
FUSED = {"s": 12_175_888, "m": 31_906_578, "l": 41_999_192}
"""With 80 classes, as upstream prints them."""


def shapes(size, nc=80, state="unfused"):
    csps = tuple(Csp(hidden, number, concat) for number, hidden, concat in TABLE[size])
    return Shapes((96, 192, 384, 768), (192, 96, 192, 384), csps, WIDTHS[size], nc, 17, 3, 48, state)


@pytest.mark.parametrize("size", TABLE)
@pytest.mark.parametrize(("state", "counts"), [("unfused", PARAMETERS), ("fused", FUSED)])
def test_parameter_counts_are_upstreams(size, state, counts):
    with torch.device("meta"):
        network = YoloNas(shapes(size, state=state))
    assert sum(parameter.numel() for parameter in network.parameters()) == counts[size]


@pytest.mark.parametrize("size", TABLE)
@pytest.mark.parametrize("state", ["unfused", "partial", "fused"])
def test_size_classes_and_state_are_read_from_the_shapes(size, state):
    with torch.device("meta"):
        weights = YoloNas(shapes(size, nc=7, state=state)).state_dict()
    assert read_shapes(weights) == shapes(size, nc=7, state=state)
    assert read_shapes(weights).variant == size


def test_batchnorm_has_upstreams_epsilon_and_momentum():
    with torch.device("meta"):
        norms = [part for part in YoloNas(shapes("s")).modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(part.eps, part.momentum) for part in norms} == {(1e-3, 0.03)}


@pytest.fixture(scope="module")
def reference(upstream):
    return upstream("yolonas", "yolo_nas_s")


@pytest.mark.assets
def test_output_is_upstreams(reference, apart):
    _, weights, picture, outputs = reference
    network = build(weights, "yolo_nas_s")
    for module in (network, fold_batchnorm(network)):
        with torch.no_grad():
            boxes, scores = module(picture)
        assert apart(boxes, outputs["out0"]) < 5e-6
        assert apart(scores, outputs["out1"]) < 5e-6


def test_folding_keeps_the_output_where_alpha_is_not_one():
    torch.manual_seed(0)
    network = YoloNas(shapes("s", nc=3)).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("alpha"):
            nn.init.uniform_(parameter, 0.3, 0.9)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.1, 0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    folded = fold_batchnorm(network)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for one, other in zip(network(picture), folded(picture), strict=True):
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-3)


def saved(tmp_path, entries):
    path = tmp_path / "ckpt_best.pth"
    torch.save(entries, path)
    return path


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return YoloNas(shapes("s", nc=3)).state_dict()


CUSTOM = {
    "class_names": ["a", "b", "c"],
    "image_processor": [
        {"ReverseImageChannels": None},
        {"DetectionLongestMaxSizeRescale": {"output_shape": (320, 320)}},
        {"DetectionBottomRightPadding": {"output_shape": (320, 320), "pad_value": 114}},
        {"ImagePermute": {"permutation": (2, 0, 1)}},
    ],
    "iou": 0.65,
    "conf": 0.5,
}


def test_the_preprocessing_is_what_the_file_says(weights, tmp_path):
    entries = {"ema_net": {f"module.{key}": value for key, value in weights.items()}, "processing_params": CUSTOM}
    model = qcore.load(saved(tmp_path, entries))
    said = model.contract.preprocess.params
    assert (said["channels"], said["scale"], said["pad"], said["fit_within"]) == ("BGR", None, "bottom-right", None)
    assert model.contract.inputs[0].shape == (1, 3, 320, 320)
    assert model.contract.postprocess.params["confidence"] == 0.5
    assert model.contract.postprocess.params["iou"] == 0.65
    assert model.contract.classes == ("a", "b", "c")


def test_a_pickled_processor_is_read_without_its_code(weights, tmp_path, monkeypatch):
    """As super-gradients stores it: objects of its own classes. The module is gone when the file is read."""
    name = "super_gradients.training.processing.processing"
    modules = {
        part: ModuleType(part) for part in ("super_gradients", "super_gradients.training", name.rpartition(".")[0])
    }
    made = ModuleType(name)
    for kind in (
        "ComposeProcessing",
        "DetectionLongestMaxSizeRescale",
        "DetectionBottomRightPadding",
        "StandardizeImage",
    ):
        setattr(made, kind, type(kind, (), {"__module__": name}))
    steps = []
    for kind, state in (
        ("DetectionLongestMaxSizeRescale", {"output_shape": (640, 640)}),
        ("DetectionBottomRightPadding", {"output_shape": (640, 640), "pad_value": 114}),
        ("StandardizeImage", {"max_value": 255.0}),
    ):
        step = getattr(made, kind)()
        step.__dict__.update(state)
        steps.append(step)
    whole = made.ComposeProcessing()
    whole.processings = steps
    said = {"class_names": ["a", "b", "c"], "image_processor": whole, "iou": 0.7, "conf": 0.25}
    with monkeypatch.context() as patched:
        for part, module in {**modules, name: made}.items():
            patched.setitem(sys.modules, part, module)
        path = saved(tmp_path, {"ema_net": weights, "processing_params": said})
    params = qcore.load(path).contract.preprocess.params
    assert (params["channels"], params["pad"], params["scale"]) == ("RGB", "bottom-right", 1 / 255)


def test_without_it_nothing_is_guessed_for_custom_classes(weights, tmp_path):
    path = saved(tmp_path, {"net": weights})
    with pytest.raises(FileError, match="does not say what pixels it was trained on") as caught:
        qcore.load(path)
    assert "--loader-option preprocessing=" in caught.value.hint
    model = qcore.load(path, preprocessing="custom")
    assert model.contract.preprocess.params["channels"] == "BGR"


@pytest.mark.assets
def test_without_it_the_coco_pipeline_is_assumed_for_80_classes(reference, tmp_path):
    with pytest.warns(AssumptionWarning, match="else --loader-option preprocessing=coco, custom or roboflow"):
        model = qcore.load(saved(tmp_path, reference[1]))
    assert model.contract.preprocess.params["fit_within"] == 636
    assert "preprocessing of the COCO weights" in model.notes["assumed"]


def test_a_step_that_letterbox_cannot_do_is_named(weights, tmp_path):
    said = {**CUSTOM, "image_processor": [{"NormalizeImage": {"mean": [0, 0, 0], "std": [1, 1, 1]}}]}
    with pytest.raises(FileError, match="has the step NormalizeImage"):
        qcore.load(saved(tmp_path, {"net": weights, "processing_params": said}))


def test_weights_that_do_not_fit_are_named(weights, tmp_path):
    lost = {key: value for key, value in weights.items() if key != "neck.neck2.conv.bn.bias"}
    with pytest.raises(FileError, match=r"missing neck\.neck2\.conv\.bn\.bias"):
        qcore.load(saved(tmp_path, {"net": lost}), preprocessing="coco")


def test_a_pose_checkpoint_is_named(weights, tmp_path):
    pose = {**weights, "heads.head1.pose_pred.weight": torch.zeros(1)}
    with pytest.raises(FileError, match="a YOLO-NAS pose checkpoint"):
        qcore.load(saved(tmp_path, {"net": pose}))


def test_quantizers_of_training_are_left_out_and_told(weights, tmp_path):
    scales = {f"{key.removesuffix('weight')}_weight_quantizer._amax": torch.ones(1) for key in weights if "conv" in key}
    path = saved(tmp_path, {"ema_net": {**weights, **scales}, "processing_params": CUSTOM})
    with pytest.warns(AssumptionWarning, match="float weights of quantization-aware training"):
        assert qcore.load(path).contract.classes == ("a", "b", "c")


def test_averaged_weights_that_are_no_weights_are_named(weights, tmp_path):
    path = saved(tmp_path, {"net": weights, "ema_net": {"decay": 0.9}})
    with pytest.raises(FileError, match="averaged weights under ema_net are a dict"):
        qcore.load(path)
