"""Labels stay inside the picture and can be read; classes differ; films have every frame."""

from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.drawing import draw, film
from qcore_plugins.tasks.detection.drawn_labels import Style, drawn, placed
from qcore_plugins.tasks.detection.palette import colour, text_colour
from qcore_plugins.tasks.detection.worst import small

COLOURS = 900
NAMES = ("person", "a class whose name is much longer than any picture is wide, and then some", "Ζέβρα", "é", "")
corner = st.floats(-50, 450, width=32)
boxes = st.lists(st.tuples(corner, corner, corner, corner, st.integers(0, len(NAMES) + 1)), max_size=6)


def detections(rows):
    xyxy = np.array([row[:4] for row in rows], np.float32).reshape(-1, 4)
    xyxy = np.concatenate((np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])), 1)
    confidence = np.linspace(1, 0.25, len(rows)).astype(np.float32)
    return Detections(xyxy, confidence, np.array([row[4] for row in rows], np.int64), NAMES)


@given(rows=boxes, height=st.integers(1, 400), width=st.integers(1, 400))
@settings(max_examples=150, deadline=None)
def test_labels_lie_inside_the_picture_with_all_their_letters(rows, height, width):
    found = detections(rows)
    for label in placed(found, height, width, Style.of(height, width)):
        if label is None:
            continue
        left, top, right, bottom = label.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        canvas = np.zeros((height + 100, width + 100, 3), np.uint8)
        away = {"box": tuple(side + 50 for side in label.box), "at": (label.at[0] + 50, label.at[1] + 50)}
        moved = replace(label, **away)
        drawn(canvas, [(moved, (0, 0, 1), (255, 255, 255))])
        inked = canvas.max(2) > 1
        inside = inked[top + 50 : bottom + 50, left + 50 : right + 50]
        assert inked.sum() == inside.sum()
        assert inside.any()


@given(rows=boxes, height=st.integers(1, 60), width=st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_any_picture_is_drawn_on_and_the_original_stays(rows, height, width):
    picture = np.full((height, width, 3), 90, np.uint8)
    assert draw(picture, detections(rows)).shape == picture.shape
    assert (picture == 90).all()


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_a_box_at_an_edge_has_its_whole_label(side):
    place = {
        "left": (-9, 90, 12, 120),
        "top": (90, -9, 120, 12),
        "right": (290, 90, 320, 120),
        "bottom": (90, 290, 120, 330),
    }
    found = Detections(np.array([place[side]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64), ("person",))
    (label,) = placed(found, 300, 300, Style.of(300, 300))
    assert label.text == "person 1.00"


def test_labels_of_boxes_on_each_other_do_not_cover_each_other():
    count = 4
    found = Detections(
        np.array([[100, 100, 300, 300]] * count, np.float32), np.ones(count, np.float32), np.arange(count), ()
    )
    rectangles = [label.box for label in placed(found, 400, 400, Style.of(400, 400))]
    for one, other in combinations(rectangles, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_names_are_told_in_letters_that_the_font_has():
    found = Detections(
        np.tile(np.float32([50, 50, 90, 90]), (3, 1)), np.ones(3, np.float32), np.array([2, 3, 9]), NAMES
    )
    texts = [label.text for label in placed(found, 400, 400, Style.of(400, 400))]
    assert texts == ["class 2 1.00", "e 1.00", "9 1.00"]


def test_every_class_has_a_colour_of_its_own_and_the_next_ones_are_clearly_others():
    assert len({colour(index) for index in range(COLOURS)}) == COLOURS
    pixels = np.array([[colour(index) for index in range(80)]], np.uint8)
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)  # CIE76: 2.3 is just noticeable
    near = [apart[index, other] for index in range(80) for other in range(index + 1, min(index + 4, 80))]
    assert min(near) > 30
    assert apart[~np.eye(80, dtype=bool)].min() > 7


def test_text_on_every_colour_has_the_contrast_that_wcag_asks_of_large_text():
    for index in range(300):
        back, ink = (luminance(shade) for shade in (colour(index), text_colour(colour(index))))
        assert (max(back, ink) + 0.05) / (min(back, ink) + 0.05) >= 3


def luminance(shade):
    parts = [part / 255 for part in shade]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, (0.0722, 0.7152, 0.2126)))


def test_larger_pictures_get_thicker_lines_and_larger_letters():
    small, large = Style.of(240, 320), Style.of(2160, 3840)
    assert small.line < large.line
    assert small.scale < large.scale


def frames(path):
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        yield read[1]


def test_a_film_has_every_frame_in_the_size_of_the_first(tmp_path):
    nothing = detections([])
    with film(tmp_path, "clip", 12.5) as made:
        for level, size in ((10, (64, 96)), (120, (64, 96)), (240, (32, 48))):
            made.add(np.full((*size, 3), level, np.uint8), nothing)
        assert not (tmp_path / "clip.mp4").exists()
    (path,) = tmp_path.iterdir()
    shown = list(frames(path))
    assert path.stem == "clip"
    assert [frame.shape for frame in shown] == [(64, 96, 3)] * 3
    assert np.abs([frame.mean() for frame in shown] - np.array([10, 120, 240])).max() < 8
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)


def test_without_an_encoder_for_mp4_a_film_is_motion_jpeg(tmp_path, monkeypatch):
    monkeypatch.setattr("qcore_plugins.tasks.detection.drawing._writes", lambda _, codec: codec == "MJPG")
    with film(tmp_path, "clip", None) as made:
        made.add(np.zeros((64, 96, 3), np.uint8), detections([]))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.avi"]
    assert len(list(frames(tmp_path / "clip.avi"))) == 1


def test_a_film_that_is_broken_off_leaves_nothing(tmp_path):
    def interrupted():
        with film(tmp_path, "clip", 25) as made:
            made.add(np.zeros((64, 96, 3), np.uint8), detections([]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("channels", [(), (1,), (2,), (4,), (6,)])
def test_arrays_of_any_number_of_channels_are_drawn_on(channels):
    """Models with four or six channels read arrays; what is shown are the first three."""
    raw = np.full((300, 600, *channels), 200, np.uint8)
    picture = cv2.imdecode(np.frombuffer(small(raw, detections([(100, 50, 300, 200, 0)])), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (240, 480, 3)
    assert picture.std() > 1


@pytest.mark.parametrize("rate", [211.222, 66.667, 239.837, 119.88, 29.97, 0.5, 7, 65535.4, 1e6])
def test_a_film_of_any_rate_can_be_written(tmp_path, rate):
    """Phones record 211.222 and 239.837 frames a second; MPEG-4 has 16 bits for the whole number of a rate."""
    with film(tmp_path, "clip", rate) as drawn_film:
        for level in (0, 100, 200):
            drawn_film.add(np.full((64, 64, 3), level, np.uint8), detections([]))
    capture = cv2.VideoCapture(str(next(tmp_path.iterdir())))
    frames = sum(1 for _ in iter(lambda: capture.read()[0], False))
    assert frames == 3
    if rate < 60_000:
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(rate, rel=2e-3)
    capture.release()
