"""YOLOv9 and GELAN: upstream's outputs, upstream's parameter counts, and dual heads that become single ones."""

import pytest
import torch
from torch import nn

import qcore
from qcore.plugin import FileError
from qcore_kit.checkpoints.stored import Stored
from qcore_plugins._shared.folding import fold_batchnorm
from qcore_plugins.families.yolov9.loader import build
from qcore_plugins.families.yolov9.network import YoloV9

SIZES = {
    "t": dict(n=3, stem=(16, 32), first=["ELAN1", 32, 32, 16], down="AConv", d=(64, 96, 128),
              e=((64, 64, 32), (96, 96, 48), (128, 128, 64)), spp=(128, 64), e12=(96, 96, 48), e15=(64, 64, 32),
              up=(48, 64), e21=(128, 128, 64)),
    "s": dict(n=3, stem=(32, 64), first=["ELAN1", 64, 64, 32], down="AConv", d=(128, 192, 256),
              e=((128, 128, 64), (192, 192, 96), (256, 256, 128)), spp=(256, 128), e12=(192, 192, 96),
              e15=(128, 128, 64), up=(96, 128), e21=(256, 256, 128)),
    "m": dict(n=1, stem=(32, 64), first=["RepNCSPELAN4", 128, 128, 64, 1], down="AConv", d=(240, 360, 480),
              e=((240, 240, 120), (360, 360, 180), (480, 480, 240)), spp=(480, 240), e12=(360, 360, 180),
              e15=(240, 240, 120), up=(180, 240), e21=(480, 480, 240)),
    "c": dict(n=1, stem=(64, 128), first=["RepNCSPELAN4", 256, 128, 64, 1], down="ADown", d=(256, 512, 512),
              e=((512, 256, 128), (512, 512, 256), (512, 512, 256)), spp=(512, 256), e12=(512, 512, 256),
              e15=(256, 256, 128), up=(256, 512), e21=(512, 512, 256)),
}  # fmt: skip
PARAMETERS = {"t": 2_442_640, "s": 7_226_208, "m": 20_124_000, "c": 25_498_752, "e": 58_114_432}
FOLDED = {"t": 2_407_632, "s": 7_105_888, "m": 19_978_672, "c": 25_288_768, "e": 57_345_920}
"""With 80 classes, as upstream prints them."""
UP = [-1, 1, "nn.Upsample", ["None", 2, "nearest"]]


def gelan(size, head="DDetect"):
    """The config of a single-head model."""
    if size == "e":
        return gelan_e(head)
    s = SIZES[size]
    block = lambda widths: [-1, 1, "RepNCSPELAN4", [*widths, s["n"]]]  # noqa: E731
    down = lambda width: [-1, 1, s["down"], [width]]  # noqa: E731
    backbone = [[-1, 1, "Conv", [width, 3, 2]] for width in s["stem"]] + [[-1, 1, s["first"][0], s["first"][1:]]]
    for width, widths in zip(s["d"], s["e"], strict=True):
        backbone += [down(width), block(widths)]
    rows = [
        [-1, 1, "SPPELAN", list(s["spp"])], UP, [[-1, 6], 1, "Concat", [1]], block(s["e12"]),
        UP, [[-1, 4], 1, "Concat", [1]], block(s["e15"]),
        down(s["up"][0]), [[-1, 12], 1, "Concat", [1]], block(s["e12"]),
        down(s["up"][1]), [[-1, 9], 1, "Concat", [1]], block(s["e21"]),
        [[15, 18, 21], 1, head, ["nc"]],
    ]  # fmt: skip
    return {"nc": 80, "depth_multiple": 1.0, "width_multiple": 1.0, "anchors": 3, "backbone": backbone, "head": rows}


def gelan_e(head):
    block = lambda *widths: [-1, 1, "RepNCSPELAN4", [*widths, 2]]  # noqa: E731
    down = lambda width: [-1, 1, "ADown", [width]]  # noqa: E731
    widths = [64, 128, 256, 512, 1024]
    first = [[-1, 1, "Silence", []], [-1, 1, "Conv", [64, 3, 2]], [-1, 1, "Conv", [128, 3, 2]], block(256, 128, 64)]
    first += [down(256), block(512, 256, 128), down(512), block(1024, 512, 256), down(1024), block(1024, 512, 256)]
    first += [[at, 1, "CBLinear", [widths[: index + 1]]] for index, at in enumerate((1, 3, 5, 7, 9))]
    first += [
        [0, 1, "Conv", [64, 3, 2]], [[10, 11, 12, 13, 14, -1], 1, "CBFuse", [[0, 0, 0, 0, 0]]],
        [-1, 1, "Conv", [128, 3, 2]], [[11, 12, 13, 14, -1], 1, "CBFuse", [[1, 1, 1, 1]]], block(256, 128, 64),
        down(256), [[12, 13, 14, -1], 1, "CBFuse", [[2, 2, 2]]], block(512, 256, 128),
        down(512), [[13, 14, -1], 1, "CBFuse", [[3, 3]]], block(1024, 512, 256),
        down(1024), [[14, -1], 1, "CBFuse", [[4]]], block(1024, 512, 256),
    ]  # fmt: skip
    rows = [
        [-1, 1, "SPPELAN", [512, 256]], UP, [[-1, 25], 1, "Concat", [1]], block(512, 512, 256),
        UP, [[-1, 22], 1, "Concat", [1]], block(256, 256, 128),
        down(256), [[-1, 32], 1, "Concat", [1]], block(512, 512, 256),
        down(512), [[-1, 29], 1, "Concat", [1]], block(512, 1024, 512),
        [[35, 38, 41], 1, head, ["nc"]],
    ]  # fmt: skip
    return {"nc": 80, "depth_multiple": 1.0, "width_multiple": 1.0, "anchors": 3, "backbone": first, "head": rows}


def dual(size):
    """The config of the dual-head model: the single one with an auxiliary branch, which shifts what follows."""
    if size == "e":
        return dual_e()
    s, single = SIZES[size], gelan(size)
    block = lambda widths: [-1, 1, "RepNCSPELAN4", [*widths, s["n"]]]  # noqa: E731
    rows = [*single["backbone"], *single["head"][:-1]]
    if size in "ts":
        extra = [
            [8, 1, "SPPELAN", list(s["spp"])], UP, [[-1, 6], 1, "Concat", [1]], block(s["e12"]),
            UP, [[-1, 4], 1, "Concat", [1]], block(s["e15"]),
            [[28, 25, 22, 15, 18, 21], 1, "DualDDetect", ["nc"]],
        ]  # fmt: skip
        return {**single, "backbone": rows, "head": extra}
    moved = [[_moved(origin), *rest] for origin, *rest in rows]
    down = lambda width: [-1, 1, s["down"], [width]]  # noqa: E731
    first, *e = s["first"], *s["e"]
    extra = [[at, 1, "CBLinear", [list(s["d"][: index + 1])]] for index, at in enumerate((5, 7, 9))]
    extra += [[0, 1, "Conv", [s["stem"][0], 3, 2]], [-1, 1, "Conv", [s["stem"][1], 3, 2]], [-1, 1, first[0], first[1:]]]
    for index, fused in enumerate(((23, 24, 25), (24, 25), (25,))):
        extra += [down(s["d"][index]), [[*fused, -1], 1, "CBFuse", [[index] * len(fused)]], block(e[index])]
    extra.append([[31, 34, 37, 16, 19, 22], 1, "DualDDetect", ["nc"]])
    return {**single, "backbone": [[-1, 1, "Silence", []], *moved], "head": extra}


def _moved(origin):
    """Absolute sources one further: row 0 is Silence."""
    if isinstance(origin, list):
        return [_moved(at) for at in origin]
    return origin + 1 if origin >= 0 else origin


def dual_e():
    single = gelan("e")
    block = lambda *widths: [-1, 1, "RepNCSPELAN4", [*widths, 2]]  # noqa: E731
    auxiliary = [
        [9, 1, "SPPELAN", [512, 256]], UP, [[-1, 7], 1, "Concat", [1]], block(512, 512, 256),
        UP, [[-1, 5], 1, "Concat", [1]], block(256, 256, 128),
    ]  # fmt: skip
    main = [list(row) for row in single["head"][:-1]]
    main[0][0] = 28
    for row, source in ((8, 39), (11, 36)):  # 32 and 29 of the single model, 7 further
        main[row][0] = [-1, source]
    head = [[[35, 32, 29, 42, 45, 48], 1, "DualDDetect", ["nc"]]]
    return {**single, "head": [*auxiliary, *main, *head]}


@pytest.mark.parametrize("size", PARAMETERS)
def test_a_dual_head_becomes_the_single_model(size):
    """The same rows, sources and parameters as the gelan config of that size."""
    with torch.device("meta"):
        converted, single = YoloV9(dual(size)), YoloV9(gelan(size))
    assert converted.sets == 2
    rows = [
        [(row.index, row.sources, row.name, row.args) for row in network.rows[:-1]] for network in (converted, single)
    ]
    assert rows[0] == rows[1]
    assert converted.rows[-1].sources == single.rows[-1].sources
    assert {key: value.shape for key, value in converted.state_dict().items()} == {
        key: value.shape for key, value in single.state_dict().items()
    }


@pytest.mark.parametrize("size", PARAMETERS)
def test_parameter_counts_are_upstreams(size):
    with torch.device("meta"):
        network = YoloV9(gelan(size))
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[size]
    assert network.strides == [8, 16, 32]


@pytest.mark.parametrize("size", ["t", "m"])
def test_folding_leaves_one_convolution_a_unit(size):
    folded = fold_batchnorm(YoloV9(gelan(size)).eval())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    assert sum(parameter.numel() for parameter in folded.parameters()) == FOLDED[size]


@pytest.mark.parametrize("size", ["t", "c"])
@pytest.mark.parametrize(
    ("style", "counts"), [("legacy", (2_128_720, 25_590_912)), ("depthwise", (1_796_608, 21_419_136))]
)
def test_ultralytics_heads(size, style, counts):
    with torch.device("meta"):
        network = YoloV9(gelan(size, "Detect"), style=style)
    assert sum(parameter.numel() for parameter in network.parameters()) == counts["tc".index(size)]


def test_batchnorm_has_upstreams_epsilon_and_momentum():
    norms = [part for part in YoloV9(gelan("t")).modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(part.eps, part.momentum) for part in norms} == {(1e-3, 0.03)}


@pytest.mark.assets
@pytest.mark.parametrize("name", ["gelan-t", "gelan-c", "yolov9-t", "yolov9-c"])
def test_output_is_upstreams(upstream, apart, name):
    document, weights, picture, outputs = upstream("yolov9", name)
    network = build(Stored(document["config"], weights, []), name)
    expected = outputs["out1"] if network.sets > 1 else outputs["out0"]
    for module in (network, fold_batchnorm(network)):
        with torch.no_grad():
            got = module(picture).numpy()
        assert apart(got[:, :4], expected[:, :4]) < 5e-6
        assert apart(got[:, 4:], expected[:, 4:]) < 5e-6


@pytest.mark.assets
@pytest.mark.parametrize(
    ("file", "converted"),
    [("gelan-t-filled.pt", False), ("yolov9-t-filled.pt", True), ("ultralytics-yolov9t-filled.pt", False)],
)
def test_checkpoints_load_and_say_what_they_are(shared, file, converted):
    model = qcore.load(shared / "checkpoints" / file, imgsz=(96, 160))
    assert model.contract.provenance["family"] == "yolov9"
    assert model.contract.provenance["variant"] == "t"
    assert ("converted" in model.notes) == converted
    with torch.no_grad():
        for height, width in ((96, 160), (64, 64)):
            cells = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
            assert model.module(torch.zeros(1, 3, height, width)).shape == (1, 84, cells)


@pytest.mark.assets
@pytest.mark.parametrize(("file", "name"), [("gelan-t-filled.pt", "gelan-t"), ("yolov9-t-filled.pt", "yolov9-t")])
def test_checkpoints_are_the_references(shared, upstream, apart, file, name):
    """The same fill rule, stored in half precision."""
    _, _, picture, outputs = upstream("yolov9", name)
    model = qcore.load(shared / "checkpoints" / file, imgsz=tuple(picture.shape[2:]))
    with torch.no_grad():
        got = model.module(picture).numpy()
    expected = outputs["out1"] if "out1" in outputs else outputs["out0"]
    assert apart(got[:, :4], expected[:, :4]) < 5e-4
    assert apart(got[:, 4:], expected[:, 4:]) < 5e-4


@pytest.mark.assets
def test_raw_and_decoded_heads_say_the_same(shared, tmp_path):
    from qcore_kit.layouts import reader

    read = []
    for head in ("decoded", "raw"):
        recipe = qcore.recipe(shared / "checkpoints" / "gelan-t-filled.pt", imgsz=(64, 96), head=head)
        detector = qcore.predictor(recipe.start().save(tmp_path / head, to="onnx"))
        outputs = detector.session.run({"images": torch.linspace(0, 1, 3 * 64 * 96).reshape(1, 3, 64, 96).numpy()})
        read.append(reader(detector.contract.outputs)(outputs))
    for one, other in zip(*read, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-3)


def plain(tmp_path, config, weights):
    path = tmp_path / "model.pt"
    torch.save({"family": "yolov9", "config": config, "names": [], "state_dict": weights}, path)
    return path


def test_weights_that_do_not_fit_are_named(tmp_path):
    weights = YoloV9(gelan("t")).state_dict()
    lost = {key: value for key, value in weights.items() if key != "model.2.cv1.conv.weight"}
    with pytest.raises(FileError, match=r"missing model\.2\.cv1\.conv\.weight"):
        qcore.load(plain(tmp_path, gelan("t"), lost))
    bent = {**weights, "model.2.cv1.bn.bias": torch.zeros(7)}
    with pytest.raises(FileError, match=r"model\.2\.cv1\.bn\.bias is \[7\], the config makes it \[32\]"):
        qcore.load(plain(tmp_path, gelan("t"), bent))


def test_a_segmentation_head_is_named(tmp_path):
    config = gelan("t", "Segment")
    with pytest.raises(FileError, match="whose head is Segment, which is not a detector's") as caught:
        qcore.load(plain(tmp_path, config, {"model.22.dfl.conv.weight": torch.zeros(1)}))
    assert "DualDDetect" in caught.value.hint
