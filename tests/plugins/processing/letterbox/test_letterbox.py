"""Letterbox: upstream's pixels, and a geometry that is its own inverse."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcore.plugin import FileError, Tensor, UsageError
from qcore_kit.detectors.contracts import LETTERBOX
from qcore_plugins.families.yolov5.loader import PROTOCOLS
from qcore_plugins.processing.letterbox.preprocessor import Letterbox

PIPELINES = {
    "yolov5-detect-square": LETTERBOX,
    "yolov5-detect-minrect": {**LETTERBOX, "rect": True},
    "yolov5-val-square": {**LETTERBOX, **PROTOCOLS["upstream"]["preprocess"]},
    "yolonas-coco": {"fit_within": 636},
    "yolonas-custom": {"fit": "long-side", "pad": "bottom-right", "channels": "BGR", "scale": None},
}


def letterbox(height=640, width=640, **params):
    return Letterbox(params, [Tensor("images", "float32", (1, 3, height, width), "NCHW")])


@pytest.mark.assets
@pytest.mark.parametrize("picture", ["bus", "zidane", "horses"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_pixels_are_upstreams(shared, pipeline, picture):
    box = letterbox(**PIPELINES[pipeline])
    got, _ = box.place(box.read(shared / "assets" / "pictures" / f"{picture}.jpg"))
    expected = cv2.imread(str(shared / "reference" / "preprocess" / f"{picture}.{pipeline}.png"))
    assert np.array_equal(got, expected)


@given(
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    pipeline=st.sampled_from(list(PIPELINES.values())),
    upscale=st.booleans(),
    aspect=st.none() | st.floats(0.2, 5),
    corners=st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_boxes_come_back_where_they_were(height, width, size, pipeline, upscale, aspect, corners):
    box = letterbox(size[0] * 32, size[1] * 32, **{**pipeline, "upscale": upscale, "picture_aspect": aspect})
    geometry = box.geometry(height, width)
    xyxy = np.array(corners) * (width, height, width, height)
    assert np.abs(geometry.to_picture(geometry.to_tensor(xyxy)) - xyxy).max() < 1e-3


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), pipeline=st.sampled_from(list(PIPELINES.values())))
@settings(max_examples=200, deadline=None)
def test_the_picture_lies_inside_the_tensor(height, width, pipeline):
    geometry = letterbox(384, 640, **pipeline).geometry(height, width)
    for inner, offset, outer in zip(geometry.resized, geometry.offset, geometry.tensor, strict=True):
        assert inner >= 1
        assert offset >= 0
        assert inner + offset <= outer


def test_tensor_values_channels_and_padding():
    picture = np.zeros((2, 4, 3), np.uint8)
    picture[..., 0] = 255  # blue
    tensor, _ = letterbox(32, 32, upscale=False).fitted(picture)
    assert tensor.shape == (1, 3, 32, 32)
    assert tensor.dtype == np.float32
    assert tensor[0, :, 15, 15].tolist() == [0.0, 0.0, 1.0]
    assert np.allclose(tensor[0, :, 0, 0], 114 / 255)
    raw, _ = letterbox(32, 32, upscale=False, channels="BGR", scale=None).fitted(picture)
    assert raw[0, :, 15, 15].tolist() == [255.0, 0.0, 0.0]


def test_stretched_pictures_get_their_aspect_ratio_back():
    geometry = letterbox(640, 640, picture_aspect=16 / 9).geometry(640, 640)
    assert (geometry.resized, geometry.offset) == ((360, 640), (140, 0))
    assert geometry.to_tensor(np.array([[0, 0, 640, 640]])).tolist() == [[0, 140, 640, 500]]


def test_a_model_of_736x1280_gets_736x1280():
    tensor, _ = letterbox(736, 1280).fitted(np.zeros((480, 640, 3), np.uint8))
    assert tensor.shape == (1, 3, 736, 1280)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"padd": "center"}, "no parameter padd"),
        ({"fit": "stretch"}, "'stretch' is not one of contain, long-side"),
        ({"upscale": "no"}, "upscale 'no' is not a bool"),
        ({"pad_value": "abc"}, "pad_value 'abc' is not a int"),
        ({"fit_within": "abc"}, "fit_within 'abc' is neither pixels nor"),
        ({"stride": 0}, "stride 0 is not a positive number"),
        ({"channels": "GRB"}, "'GRB' is not one of RGB, BGR, gray, given"),
    ],
)
def test_a_pipeline_that_is_not_understood_is_refused(params, message):
    with pytest.raises(UsageError, match=message):
        letterbox(**params)


def test_what_a_source_stands_for(tmp_path):
    box, black = letterbox(), np.zeros((8, 8, 3), np.uint8)
    for name in ("b.jpg", "a.PNG", "deeper/c.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(cv2.imencode(".png", black)[1].tobytes())
    (tmp_path / "notes.txt").write_text("no picture")
    names = [str(path.relative_to(tmp_path)) for path in box.expand(tmp_path)]
    assert names == ["a.PNG", "b.jpg", "deeper/c.bmp"]
    assert box.expand(f"{tmp_path}/*.jpg") == [tmp_path / "b.jpg"]
    assert len(box.expand(iter([black, tmp_path]))) == 4
    assert len(box.expand(black)) == 1


def test_files_that_name_pictures_are_sources(pictures, tmp_path):
    box = letterbox()
    everything = box.expand(pictures / "images")
    assert box.expand(pictures / "instances.json") == everything
    (tmp_path / "some.txt").write_text(f"{everything[3]}\n{everything[1]}\n")
    assert box.expand(str(tmp_path / "some.txt")) == [everything[3], everything[1]]
    (tmp_path / "data.yaml").write_text(f"train: {pictures / 'images'}\nnames: [a]\n")
    assert box.expand([tmp_path / "data.yaml", everything[0]]) == [*everything, everything[0]]


def test_sources_that_are_none(tmp_path):
    box = letterbox()
    with pytest.raises(FileError, match="no picture in this folder"):
        box.expand(tmp_path)
    with pytest.raises(FileError, match="no such file or folder"):
        box.expand(tmp_path / "absent")
    with pytest.raises(FileError, match="no file fits this pattern"):
        box.expand(tmp_path / "*.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(FileError, match=r"text\.jpg: not a readable picture"):
        box.read(tmp_path / "text.jpg")
    with pytest.raises(FileError, match="float32"):
        box.read(np.zeros((8, 8, 3), np.float32))


def test_grey_and_alpha_arrays_are_pictures():
    box = letterbox()
    assert box.read(np.full((4, 4), 7, np.uint8)).tolist() == np.full((4, 4, 3), 7).tolist()
    assert box.read(np.zeros((4, 4, 4), np.uint8)).shape == (4, 4, 3)


def test_integer_inputs_are_not_scaled_to_nothing():
    whole = [Tensor("images", "uint8", (1, 3, 32, 32), "NCHW")]
    with pytest.raises(UsageError, match="is uint8"):
        Letterbox({}, whole)
    tensor, _ = Letterbox({"scale": None}, whole).fitted(np.full((32, 32, 3), 200, np.uint8))
    assert tensor.max() == 200
