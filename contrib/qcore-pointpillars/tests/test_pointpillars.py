"""The whole way of a network that has nothing to do with pictures, and what is computed around it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from qcore_pointpillars.boxes import anchors, decode, direction, encode, overlaps, suppress
from qcore_pointpillars.conformance import SMALL, untrained
from qcore_pointpillars.evaluation import average_precision
from qcore_pointpillars.loader import contract
from qcore_pointpillars.pillars import Pillars
from qcore_pointpillars.planted import plant
from qcore_pointpillars.scenes import scene, write
from qcore_pointpillars.train import train

import qcore
from qcore.plugin import FileError

GRID = 24 * 24
"""Pillars of SMALL, and the cell of padding."""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A network trained for a few seconds, labelled clouds, others to calibrate with."""
    folder = tmp_path_factory.mktemp("pillars")
    train(folder / "car.pt", steps=60, config=SMALL, say=lambda _: None)
    write(folder / "data", 4, 0, SMALL["area"])
    write(folder / "calib", 4, 100, SMALL["area"])
    return folder


def prepared(cloud, config=SMALL):
    described = contract(config)
    return Pillars(described.preprocess.params, described.inputs).prepare(cloud).arrays


def test_pillars_hold_what_the_paper_says():
    cloud = np.array([[1.0, 0.1, -1.0, 0.5], [1.2, 0.3, -1.5, 0.7], [99, 0, 0, 0]], np.float32)
    arrays = prepared(cloud)
    assert (arrays["cells"] < GRID).sum() == 1
    assert arrays["cells"][0, 0] == 12 * 24 + 1
    point = arrays["pillars"][0, :, 0, 1]
    assert point[:4] == pytest.approx([1.2 / 15.36, 7.98 / 15.36, 1.5 / 4, 0.7], abs=1e-5)
    assert point[4:7] == pytest.approx([0.1 / 0.64, 0.1 / 0.64, -0.25], abs=1e-5)
    assert point[7:] == pytest.approx([1.2 / 0.64 - 1.5, 0.3 / 0.64 - 0.5], abs=1e-5)
    assert (arrays["pillars"][0, :, 0, 2:] == arrays["pillars"][0, :, 0, :1]).all()
    assert (arrays["pillars"][0, :, 1:] == 0).all()


def test_a_full_grid_keeps_the_pillars_with_the_most_points():
    rng = np.random.default_rng(0)
    everywhere = rng.uniform((0, -7.6, -2, 0), (15.3, 7.6, 0, 1), (3000, 4))
    crowd = rng.uniform((5.2, 0.1, -2, 0), (5.6, 0.5, 0, 1), (50, 4))
    arrays = prepared(np.concatenate([everywhere, crowd]).astype(np.float32))
    assert (arrays["cells"] < GRID).all()
    assert len(np.unique(arrays["cells"])) == 200
    assert 12 * 24 + 8 in arrays["cells"]


def test_boxes_come_back_from_what_the_head_has_to_give():
    anchor = anchors(SMALL["area"], 1.28)
    boxes = np.array([[5.0, 1.0, -0.9, 4.2, 1.7, 1.5, yaw] for yaw in np.linspace(-3.1, 3.1, 9)])
    nearest = anchor[np.argsort(np.linalg.norm(anchor[:, :2] - boxes[0, :2], axis=1))[:1]].repeat(len(boxes), 0)
    assert decode(encode(boxes, nearest), direction(boxes[:, 6]), nearest) == pytest.approx(boxes, abs=1e-5)


def test_overlaps_of_turned_boxes():
    one = np.array([[0, 0, 0, 4, 2, 2, 0.3]], float)
    moved, across, above, far = (one.copy() for _ in range(4))
    moved[0, :2] += 2 * np.array([np.cos(0.3), np.sin(0.3)])
    across[0, 6] += np.pi / 2
    above[0, 2] = 1
    far[0, 0] = 50
    flat, space = overlaps(one, np.concatenate([one, moved, across, above, far]))
    assert flat[0] == pytest.approx([1, 1 / 3, 1 / 3, 1, 0], abs=1e-3)
    assert space[0] == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 0], abs=1e-3)
    assert suppress(np.concatenate([far, moved, one]), np.array([0.1, 0.5, 0.9]), 0.2).tolist() == [2, 0]


def test_average_precision_by_hand():
    assert average_precision([0.9, 0.8], [True, True], 2) == 1
    assert average_precision([0.9, 0.8], [False, True], 1) == 0.5
    assert average_precision([0.9], [True], 2) == 0.5
    assert average_precision([], [], 3) == 0
    assert average_precision([0.9], [False], 0) is None


def test_what_stands_in_padding_reaches_no_cell():
    """The same cloud with more room for pillars gives the same outputs."""
    from qcore_pointpillars.network import PointPillars

    torch.manual_seed(0)
    network = PointPillars(24, 24, 8, 1).eval()
    cloud = scene(0, SMALL["area"])[0][::20]
    results = []
    for room in (200, 300):
        arrays = prepared(cloud, {**SMALL, "pillars": room})
        assert (arrays["cells"] == GRID).any()
        with torch.no_grad():
            results.append(network(*(torch.from_numpy(array) for array in arrays.values())))
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*results, strict=True))


def test_damaged_configurations_are_told(tmp_path):
    path = untrained(tmp_path / "odd.pt")
    data = torch.load(path)
    for change in ({"cell": 0.7}, {"cell": 1e-9}, {"area": [0, 1]}, {"width": 10**9}, {"width": 16}):
        torch.save({**data, "pointpillars": {**SMALL, **change}}, path)
        with pytest.raises(FileError, match=r"odd\.pt"):
            qcore.recipe(path).start().model()


@pytest.mark.parametrize("quantizer", ["onnxruntime", "pytorch-quantization"])
def test_both_runtimes_keep_the_outputs(work, quantizer):
    """INT8 logits follow the float ones on a cloud that was not calibrated with."""
    base = qcore.recipe(work / "car.pt")
    arrays = prepared(scene(7, SMALL["area"])[0])
    with base.start() as run:
        wanted = run.vary(base.with_backend("onnxruntime")).predictor().session.run(arrays)["classes"]
        for backend in ("onnxruntime", "openvino"):
            recipe = base.with_quantizer(quantizer, calibration=work / "calib" / "clouds").with_backend(backend)
            got = run.vary(recipe).predictor().session.run(arrays)["classes"]
            assert np.corrcoef(wanted.ravel(), got.ravel())[0, 1] > 0.98


def test_run_time_scales_follow_one_bright_point_and_check_names_them(work, tmp_path):
    """A single return of reflectance 200 moves the logits of cells far from it, unless scales are fixed."""
    base = qcore.recipe(work / "car.pt")
    cloud = scene(7, SMALL["area"])[0]
    cloud[np.abs(cloud[:, :2] - (7, 0)).sum(1).argmin(), 3] = 200
    dull = cloud.copy()
    dull[cloud[:, 3] > 1, 3] = 1

    def moved(session):
        one, other = (session.run(prepared(each))["classes"] for each in (cloud, dull))
        return np.abs(one - other)[0, :, 0]

    with base.start() as run:
        float_file = run.vary(base.with_backend("onnxruntime")).save(tmp_path / "float", to="onnx")
        plant(float_file, tmp_path / "planted.onnx")
        fixed = base.with_quantizer("onnxruntime", calibration=work / "calib" / "clouds").with_backend("onnxruntime")
        session = run.vary(fixed).predictor().session
    planted = qcore.recipe(tmp_path / "planted.onnx").with_backend("onnxruntime").start().predictor().session
    assert moved(planted).mean() > 2 * moved(session).mean()
    told = subprocess.run(
        [sys.executable, "-m", "qcore", "check", tmp_path / "planted.onnx", "--target", "onnxruntime", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "QDQ020" in told.stdout
