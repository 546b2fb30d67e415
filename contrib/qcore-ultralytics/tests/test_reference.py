"""The networks against upstream's outputs on weights made by a rule; needs the reference files (QCORE_SHARED)."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qcore_ultralytics.network import Network  # noqa: E402

SHARED = os.environ.get("QCORE_SHARED")
REFERENCE = Path(SHARED or ".") / "reference"
NAMES = ("yolov8n", "yolo11n", "yolo11m", "yolo26n")
LIMIT = 5e-6
"""Of the largest value: float32 in another order of summation."""

pytestmark = pytest.mark.skipif(not SHARED, reason="needs QCORE_SHARED")


def reference(name):
    folder = REFERENCE / "ultralytics"
    told = json.loads((folder / f"{name}.json").read_text())
    arrays = dict(np.load(folder / f"{name}.npz"))
    return told, arrays


def built(told, branch="one2many"):
    sys.path.insert(0, str(REFERENCE))
    from fill_rule import fill

    shapes = {key: tuple(entry[0]) for key, entry in told["state_dict"].items()}
    network = Network(told["config"], shapes, branch=branch)
    for path, module in network.named_modules():
        if path in told["no_activation"]:
            assert isinstance(module.act, torch.nn.Identity), path
    kept, gains = told.get("kept", {}), told.get("gains", {})
    weights = {}
    for key, value in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            weights[key] = value
        elif key in kept:
            weights[key] = torch.tensor(kept[key], dtype=torch.float).reshape(value.shape)
        else:
            weights[key] = torch.from_numpy(fill(key, tuple(value.shape), gains.get(key, told["gain"])))
    assert set(network.state_dict()) == set(told["state_dict"]), "every key has its place"
    network.load_state_dict(weights)
    return network.eval()


def apart(got, wanted):
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_the_reference(name):
    told, arrays = reference(name)
    sys.path.insert(0, str(REFERENCE))
    from fill_rule import image

    network = built(told)
    with torch.no_grad():
        got = network(torch.from_numpy(image(128, 192))).numpy()
    wanted = arrays[f"out{told['output_names'].index('one2many' if name == 'yolo26n' else 'decoded')}"]
    assert apart(got[:, :4], wanted[:, :4]) < LIMIT
    assert apart(got[:, 4:], wanted[:, 4:]) < LIMIT
    assert [int(stride) for stride in network.strides] == [int(stride) for stride in told["strides"]]


def test_the_end_to_end_head_gives_the_references_boxes():
    told, arrays = reference("yolo26n")
    from fill_rule import image

    network = built(told, "one2one")
    with torch.no_grad():
        boxes, scores = network.corners(torch.from_numpy(image(128, 192)))
        rows = network(torch.from_numpy(image(128, 192))).numpy()
    one2one = arrays[f"out{told['output_names'].index('one2one')}"]
    assert apart(boxes.numpy().swapaxes(1, 2), one2one[:, :4]) < LIMIT
    assert apart(scores.numpy().swapaxes(1, 2), one2one[:, 4:]) < LIMIT
    wanted = arrays[f"out{told['output_names'].index('topk')}"]
    assert rows.shape == wanted.shape
    assert apart(rows[..., 4], wanted[..., 4]) < 1e-5
    same = {(int(row[5]), *np.round(row[:4], 1)) for row in rows[0]} & {
        (int(r[5]), *np.round(r[:4], 1)) for r in wanted[0]
    }
    assert len(same) > 0.97 * len(rows[0])


COUNTS = {
    "v8": (3_157_200, 11_166_560, 25_902_640, 43_691_520, 68_229_648),
    "11": (2_624_080, 9_458_752, 20_114_688, 25_372_160, 56_966_176),
    "26": (2_572_280, 10_009_784, 21_896_248, 26_299_704, 58_993_368),
}
"""Parameters of n, s, m, l, x with 80 classes; of YOLO26 with both pairs of branches."""


@pytest.mark.parametrize("size", range(5), ids="nsmlx")
@pytest.mark.parametrize(("family", "name"), [("v8", "yolov8n"), ("11", "yolo11n"), ("26", "yolo26n")])
def test_every_size_has_the_published_number_of_parameters(family, name, size):
    config = {**reference(name)[0]["config"], "scale": "nsmlx"[size]}
    with torch.device("meta"):
        network = Network(config, {})
    assert sum(each.numel() for each in network.parameters()) == COUNTS[family][size]
