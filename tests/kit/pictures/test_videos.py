"""Videos frame by frame: what is broken is named, what is missing is told."""

import os
import struct
from collections import deque
from itertools import islice

import cv2
import numpy as np
import pytest

from qcore.plugin import AssumptionWarning, FileError, MissingDevice, UsageError
from qcore_kit.pictures import files as pictures
from qcore_kit.pictures.videos import _Places, recording

FRAMES = 12


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Frames that get brighter; with noise, so that a file is mostly frames."""
    path = tmp_path_factory.mktemp("videos") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (128, 96))
    noise = np.random.default_rng(0).integers(0, 36, (96, 128, 3))
    for number in range(FRAMES):
        writer.write((noise + number * 20).clip(0, 255).astype(np.uint8))
    writer.release()
    return path


def levels(video):
    return [round((float(frame.read().mean()) - 17.5) / 20) for frame in video]


def test_frames_are_named_and_come_in_order_as_often_as_asked(clip):
    video = recording(str(clip))
    assert [str(frame) for frame in video] == [f"{clip}#{number}" for number in range(FRAMES)]
    assert levels(video) == list(range(FRAMES))
    assert (video.total, video.rate, video.stem) == (FRAMES, 10, "clip")


def test_frames_are_read_when_they_are_asked_for(clip):
    frames = iter(recording(clip))
    first, second = next(frames), next(frames)
    assert (first.number, second.number) == (0, 1)
    assert second.recording.total == FRAMES
    frames.close()


def test_a_broken_frame_is_named_and_the_others_come(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    begin = [place for place in range(len(data) - 2) if data[place : place + 3] == b"\xff\xd8\xff"][5]
    data[begin : begin + 400] = bytes(400)
    (tmp_path / "broken.avi").write_bytes(data)
    frames = list(recording(tmp_path / "broken.avi"))
    assert [str(frame).rpartition("#")[2] for frame in frames if frame.picture is None] == ["5"]
    assert len(frames) == FRAMES
    with pytest.raises(FileError, match=r"broken\.avi#5: this frame cannot be decoded"):
        frames[5].read()
    assert levels(frames[6:]) == list(range(6, FRAMES))


def test_a_truncated_video_gives_what_is_there_and_says_so(clip, tmp_path):
    data = clip.read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 2 // 3])
    frames = iter(recording(tmp_path / "cut.avi"))
    assert levels(islice(frames, 4)) == [0, 1, 2, 3]
    with pytest.raises(FileError, match=rf"cut\.avi: ends after \d of {FRAMES} frames"):
        deque(frames, maxlen=0)


def test_a_video_that_is_none(tmp_path, capfd):
    (tmp_path / "text.mp4").write_text("no video " * 100)
    with pytest.raises(FileError, match=r"text\.mp4: not a readable video"):
        next(iter(recording(tmp_path / "text.mp4")))
    assert capfd.readouterr().err == ""


def test_what_is_no_recording(tmp_path):
    (tmp_path / "0.jpg").write_bytes(b"picture")
    (tmp_path / "7").write_bytes(b"a file")
    for source in (tmp_path / "0.jpg", tmp_path / "7", tmp_path, "absent.mp4", np.zeros((4, 4, 3), np.uint8), ["a"]):
        assert recording(source) is None


@pytest.mark.parametrize("source", ["9", 9, -1, "20261121000000"])
def test_a_camera_that_is_not_there(source, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDevice, match=f"there is no camera {source}, and no file"):
        recording(source)
    assert capfd.readouterr().err == ""


def test_patterns_of_any_depth_and_folders_of_videos(clip, tmp_path):
    for name in ("a.jpg", "one/b.jpg", "one/two/c.jpg", "one/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("")

    def names(pattern):
        return [str(path.relative_to(tmp_path)) for path in pictures.listed(tmp_path / pattern)]

    assert names("**/*.jpg") == ["a.jpg", "one/b.jpg", "one/two/c.jpg"]
    assert names("on?/*.jpg") == ["one/b.jpg"]
    assert names("one/**") == ["one/b.jpg", "one/notes.txt", "one/two/c.jpg"]
    assert pictures.listed(clip.parent / "*.avi") == [clip]
    with pytest.raises(FileError, match="no picture in this folder") as caught:
        pictures.listed(clip.parent)
    assert "there are videos" in caught.value.hint


def test_a_video_is_no_picture(clip):
    with pytest.raises(FileError, match="a video, and pictures are wanted here"):
        pictures.read(clip)


def test_frames_have_their_times(clip):
    assert [frame.time for frame in recording(clip)] == pytest.approx([number / 10 for number in range(FRAMES)])


def test_frames_behind_lost_ones_keep_their_numbers(clip, tmp_path):
    """A chunk whose header was overwritten is no frame: the next one is not it."""
    data = bytearray(clip.read_bytes())
    starts = [place for place in range(len(data) - 2) if data[place : place + 3] == b"\xff\xd8\xff"]
    for number in (4, 5, 8):
        data[starts[number] - 8 : starts[number] + 400] = bytes(408)
    (tmp_path / "lost.avi").write_bytes(data)
    with pytest.warns(AssumptionWarning, match=r"lost\.avi: frames missing: 4-5, 8$"):
        frames = list(recording(tmp_path / "lost.avi"))
    assert levels(frames) == [frame.number for frame in frames] == [0, 1, 2, 3, 6, 7, 9, 10, 11]


@pytest.mark.parametrize(
    ("times", "numbers", "gaps"),
    [
        ([0, 0.1, 0.2, 0.5, 0.6], [0, 1, 2, 5, 6], [(3, 4)]),
        ([0, 0.13, 0.31, 0.36, 0.9], [0, 1, 2, 3, 4], []),
        ([0, None, None, 0.3], [0, 1, 2, 3], []),
    ],
)
def test_numbers_follow_times_where_these_are_regular(times, numbers, gaps):
    places = _Places(10, frozenset())
    assert [places.next(time) for time in times] == numbers
    assert places.gaps == gaps


def test_a_rate_that_varies_is_no_missing_end():
    """466 frames are announced of 15.5 s that have 60."""
    places = _Places(30, frozenset())
    for number in range(60):
        places.next(number * 15.5 / 60 + 0.007)
    assert places.came(466) > 455


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    """A video that is bright in its upper left corner, wider than high."""
    path = tmp_path_factory.mktemp("videos") / "corner.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (128, 96))
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[:32, :48] = 255
    for _ in range(3):
        writer.write(picture)
    writer.release()
    return path


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda shown: shown),
        ((-1, 0, 0, 1), lambda shown: shown[:, ::-1]),
        ((1, 0, 0, -1), lambda shown: shown[::-1]),
        ((-1, 0, 0, -1), lambda shown: shown[::-1, ::-1]),
        ((0, 1, -1, 0), lambda shown: np.rot90(shown, -1)),
        ((0, -1, 1, 0), np.rot90),
        ((0, 1, 1, 0), lambda shown: shown.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda shown: shown[::-1, ::-1].swapaxes(0, 1)),
    ],
)
def test_pictures_are_turned_as_the_file_says(corner, tmp_path, matrix, turn):
    data = bytearray(corner.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(data)
    (plain, *_), (shown, *_) = list(recording(corner)), list(recording(tmp_path / "turned.mp4"))
    wanted = turn(plain.picture)
    assert shown.picture.shape == wanted.shape
    assert np.abs(shown.picture.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("name", ["a:b.avi", "clip%03d.avi", "clip", "clip.jpg", "clip.ts", os.fsdecode(b"\xff.avi")])
def test_a_video_is_one_whatever_its_name(clip, tmp_path, name, monkeypatch):
    (tmp_path / name).write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert levels(recording(name)) == list(range(FRAMES))


def test_a_picture_called_like_a_video_is_a_picture(tmp_path):
    cv2.imwrite(str(tmp_path / "picture.png"), np.zeros((8, 8, 3), np.uint8))
    named = (tmp_path / "picture.png").rename(tmp_path / "picture.mp4")
    assert recording(named) is None
    assert pictures.read(named).shape == (8, 8, 3)


def test_videos_beside_pictures_are_told(clip, tmp_path):
    (tmp_path / "clip.avi").write_bytes(clip.read_bytes())
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.warns(AssumptionWarning, match=r"1 video left out; name them, e\.g\. .*clip\.avi"):
        assert [file.name for file in pictures.listed(tmp_path)] == ["one.png"]


@pytest.mark.parametrize("address", ["rtsp://camera/1", "http://host/clip.mp4", "https://host/stream"])
def test_addresses_are_refused(address):
    with pytest.raises(UsageError, match="qcore uses no network") as caught:
        recording(address)
    assert "ffmpeg -i" in caught.value.hint
