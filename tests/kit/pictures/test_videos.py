"""Videos frame by frame: what is broken is named, what is missing is told."""

from collections import deque
from itertools import islice

import cv2
import numpy as np
import pytest

from qcore.plugin import FileError, MissingDevice
from qcore_kit.pictures import files as pictures
from qcore_kit.pictures.videos import recording

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
