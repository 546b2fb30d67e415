"""Checkpoints as they come: other class counts and anchors, saved fused, with stale buffers, with the wrong weights."""

import pytest
import torch

import qcore
from qcore.plugin import FileError, UsageError
from qcore_kit.layouts import reader
from qcore_plugins._shared.folding import fold_batchnorm
from qcore_plugins.families.yolov5.network import YoloV5

TINY = {
    "nc": 2, "depth_multiple": 0.33, "width_multiple": 0.125, "ch": 3, "anchors": [[8, 9, 20, 21]] * 2,
    "backbone": [
        [-1, 1, "Conv", [64, 6, 2, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 1, "C3", [128]],
        [-1, 1, "Conv", [256, 3, 2]], [-1, 1, "SPPF", [256, 5]], [-1, 1, "Conv", [256, 3, 2]],
    ],
    "head": [[-1, 1, "C3", [256, False]], [[4, 6], 1, "Detect", ["nc", "anchors"]]],
}  # fmt: skip


@pytest.fixture
def document():
    torch.manual_seed(0)
    network = YoloV5(TINY).eval()
    return {"family": "yolov5", "config": TINY, "names": ["cat", "dog"], "state_dict": network.state_dict()}


def saved(document, tmp_path):
    path = tmp_path / "tiny.pt"
    torch.save(document, path)
    return path


def test_classes_anchors_and_strides_come_from_the_file(document, tmp_path):
    document["state_dict"]["model.7.anchors"] = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]] * 2)
    model = qcore.load(saved(document, tmp_path), imgsz=64, head="raw")
    assert [output.shape for output in model.contract.outputs] == [(1, 2, 8, 8, 7), (1, 2, 4, 4, 7)]
    assert [output.attributes["stride"] for output in model.contract.outputs] == [8, 16]
    assert model.contract.outputs[1].attributes["anchors"] == [[16.0, 32.0], [48.0, 64.0]]
    assert model.contract.classes == ("cat", "dog")


def test_raw_and_decoded_heads_say_the_same(document, tmp_path):
    path = saved(document, tmp_path)
    picture = torch.rand(1, 3, 64, 96).numpy()
    read = []
    for head in ("decoded", "raw"):
        detector = qcore.recipe(path, imgsz=(64, 96), head=head).start().predictor()
        read.append(reader(detector.contract.outputs)(detector.session.run({"images": picture})))
    for one, other in zip(*read, strict=True):
        assert one.shape == other.shape
        assert one == pytest.approx(other, rel=1e-4, abs=1e-4)


def test_a_file_that_was_saved_fused(document, tmp_path):
    network = YoloV5(TINY).eval()
    network.load_state_dict(document["state_dict"])
    fused = {**document, "state_dict": fold_batchnorm(network).state_dict()}
    assert not any(".bn." in key for key in fused["state_dict"])
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, got = network(picture), qcore.load(saved(fused, tmp_path), imgsz=64).module(picture)
    assert torch.allclose(expected, got, atol=1e-3, rtol=1e-4)


def test_stale_anchor_grids_are_not_used(document, tmp_path):
    with_grid = {**document["state_dict"], "model.7.anchor_grid": torch.full((2, 1, 2, 1, 1, 2), 1e6)}
    picture = torch.rand(1, 3, 64, 64)
    first = qcore.load(saved(document, tmp_path), imgsz=64)
    second = qcore.load(saved({**document, "state_dict": with_grid}, tmp_path), imgsz=64)
    with torch.no_grad():
        assert torch.equal(first.module(picture), second.module(picture))


def test_half_precision_weights_become_float(document, tmp_path):
    halves = {
        key: value.half() if value.is_floating_point() else value for key, value in document["state_dict"].items()
    }
    model = qcore.load(saved({**document, "state_dict": halves}, tmp_path), imgsz=64)
    assert {parameter.dtype for parameter in model.module.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("model.0.conv.weight"), r"missing model\.0\.conv\.weight"),
        (lambda weights: weights.update({"model.9.conv.weight": torch.zeros(1)}), r"unexpected model\.9\.conv\.weight"),
        (lambda weights: weights.update({"model.1.bn.bias": torch.zeros(3)}), r"model\.1\.bn\.bias is \[3\]"),
    ],
    ids=["missing", "unexpected", "shape"],
)
def test_weights_that_do_not_fit_are_named(document, tmp_path, change, message):
    change(document["state_dict"])
    with pytest.raises(FileError, match=message):
        qcore.load(saved(document, tmp_path))


def test_an_unknown_block_is_named(document, tmp_path):
    rows = [[-1, 1, "__import__('os').system", ["true"]], *TINY["backbone"][1:]]
    with pytest.raises(FileError, match="block __import__"):
        qcore.load(saved({**document, "config": {**TINY, "backbone": rows}}, tmp_path))


@pytest.mark.parametrize("size", [100, (64, 100), 0, "large", (1, 2, 3)])
def test_sizes_that_do_not_fit_are_refused(document, tmp_path, size):
    with pytest.raises(UsageError, match="input size"):
        qcore.load(saved(document, tmp_path), imgsz=size)


@pytest.mark.assets
def test_an_upstream_pickle_is_read_without_upstreams_code(shared):
    model = qcore.load(shared / "checkpoints" / "yolov5n-filled.pt", imgsz=(64, 96))
    assert model.contract.provenance["family"] == "yolov5"
    assert model.contract.provenance["variant"] == "n"
    assert model.contract.inputs[0].shape == (1, 3, 64, 96)
    with torch.no_grad():
        assert model.module(torch.zeros(1, 3, 64, 96)).shape == (1, 3 * (96 + 24 + 6), 85)


@pytest.mark.assets
def test_the_checkpoint_is_the_reference(shared, upstream, apart):
    """The same fill rule, stored in half precision."""
    _, _, picture, outputs = upstream("yolov5", "yolov5n")
    model = qcore.load(shared / "checkpoints" / "yolov5n-filled.pt", imgsz=tuple(picture.shape[2:]))
    with torch.no_grad():
        got = model.module(picture).numpy()
    for part in (slice(0, 4), slice(4, None)):
        assert apart(got[..., part], outputs["out0"][..., part]) < 5e-4
