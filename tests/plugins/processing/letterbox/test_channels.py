"""Inputs of one channel take grey pictures, those of more take arrays, and a picture of another number is named."""

import runpy

import cv2
import numpy as np
import pytest

from qcore.plugin import FileError, Tensor, UsageError
from qcore_kit.detectors.contracts import LETTERBOX, contract
from qcore_plugins.processing.letterbox.preprocessor import Letterbox


def letterbox(number, layout="NCHW", **params):
    shape = (1, number, 32, 48) if layout == "NCHW" else (1, 32, 48, number)
    described = contract(shape, [], ["a"], preprocess=LETTERBOX, postprocess={}, protocols={})
    return Letterbox({**described.preprocess.params, **params}, [Tensor("images", "float32", shape, layout)])


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.fixture
def colour(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), noise(20, 30, 3))
    return path


def test_a_colour_picture_is_made_grey(colour):
    box = letterbox(1)
    tensor, _ = box.fitted(box.read(colour))
    grey = cv2.cvtColor(cv2.imread(str(colour)), cv2.COLOR_BGR2GRAY)
    expected, _ = box.fitted(box.read(grey))
    assert tensor.shape == (1, 1, 32, 48)
    assert np.array_equal(tensor, expected)
    assert np.array_equal(expected, box.fitted(box.read(grey[..., None]))[0])
    assert np.array_equal(tensor[0, 0], letterbox(3).fitted(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))[0][0, 0])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", [2, 4, 6])
def test_arrays_keep_their_channels(tmp_path, channels, layout):
    raw = noise(20, 30, channels)
    np.save(tmp_path / "b.npy", raw)
    np.save(tmp_path / "a.npy", raw)
    box = letterbox(channels, layout)
    assert [path.name for path in box.expand(tmp_path)] == ["a.npy", "b.npy"]
    tensor, _ = box.fitted(box.read(tmp_path / "a.npy"))
    assert np.array_equal(tensor, box.fitted(box.read(raw))[0])
    planes = tensor[0] if layout == "NCHW" else tensor[0].transpose(2, 0, 1)
    for plane, own in zip(planes, np.moveaxis(raw, 2, 0), strict=True):
        assert np.array_equal(plane, letterbox(1).fitted(own)[0][0, 0])
    assert box.example().shape == (32, 48, channels)


def test_an_array_serves_a_colour_model_too(tmp_path):
    np.save(tmp_path / "a.npy", noise(20, 30, 3))
    box = letterbox(3)
    assert np.array_equal(box.read(tmp_path / "a.npy"), noise(20, 30, 3))


def test_what_has_another_number_of_channels_is_named(colour, tmp_path):
    box = letterbox(4)
    with pytest.raises(FileError, match=r"a\.png: the model takes 4 channels, this picture has 3") as caught:
        box.read(colour)
    assert "arrays uint8 [H, W, 4]" in caught.value.hint
    with pytest.raises(FileError, match="an array: the model takes 4 channels, this picture has 6"):
        box.read(noise(20, 30, 6))
    with pytest.raises(FileError, match="float64"):
        box.read(noise(20, 30, 4) / 255)
    (tmp_path / "b.npy").write_bytes(b"no array")
    with pytest.raises(FileError, match=r"b\.npy: not a readable array"):
        box.read(tmp_path / "b.npy")


@pytest.mark.parametrize(("channels", "order"), [(3, "gray"), (3, "given"), (4, "gray"), (1, "given")])
def test_an_order_for_another_number_is_refused(channels, order):
    with pytest.raises(UsageError, match=f"channels '{order}' does not fit an input of {channels} channel"):
        letterbox(channels, channels=order)


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_the_script_feeds_the_same(tmp_path, channels):
    raw = noise(20, 30, channels) if channels > 3 else noise(20, 30, 3)
    box = letterbox(channels)
    (tmp_path / "script.py").write_text(box.source())
    script = runpy.run_path(str(tmp_path / "script.py"))
    np.save(tmp_path / "a.npy", raw)
    tensor, _ = script["preprocess"](script["read"](str(tmp_path / "a.npy")))
    assert np.array_equal(tensor, box.fitted(box.read(raw))[0])
