"""The loss of the training: 0 between equals, and led by what is in the picture."""

import pytest
import torch

from qcore_kit.quantization.graph import from_onnx
from qcore_plugins._shared.fakequant.distance import Distance
from qcore_plugins._shared.fakequant.network import Network


@pytest.fixture(scope="module")
def distance(exported, run):
    return Distance(from_onnx(exported.proto), run.contract())


@pytest.fixture(scope="module")
def given(distance, exported, data):
    """What the float network gives for a picture with objects."""
    network = Network.of(exported).giving(distance.tensors)
    with torch.no_grad():
        values = network(torch.from_numpy(data.take([0])["images"]))
        distance.measure([values])
    assert objectness(values).amax() > 0.5
    return values


def objectness(values):
    return values[0][..., 4]


def moved(values):
    """The same, with every box 20 pixels further to the right."""
    changed = [value.clone() for value in values]
    changed[0][..., 0] += 20
    return changed


def test_equals_have_no_distance(distance, given):
    assert float(distance(given, given)) == pytest.approx(0, abs=1e-5)


def test_boxes_of_objects_count(distance, given):
    assert float(distance(moved(given), given)) > 0.5


def test_scores_count_in_both_directions(distance, given):
    lower = [given[0].clone(), *given[1:]]
    lower[0][..., 4] *= 0.5
    assert float(distance(lower, given)) > 0.05
    assert float(distance(given, lower)) > 0.05
