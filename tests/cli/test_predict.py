"""`qcore predict` on pictures, folders, patterns, videos and cameras, and what it writes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import qcore
from qcore.plugin import FileError
from qcore_kit import recordings
from qcore_kit.boxes.detections import Detections
from qcore_plugins.tasks.detection.dataset import read as read_labels

FRAMES = 12
INTERRUPTIBLE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from qcore.cli import main; sys.exit(main())"
)
"""A shell without job control starts what runs in its background with Ctrl-C switched off."""


@pytest.fixture(scope="module")
def clip(pictures, tmp_path_factory):
    """The pictures as a video."""
    return video(tmp_path_factory.mktemp("clip") / "clip.avi", sorted((pictures / "images").iterdir()))


@pytest.fixture(scope="module")
def dynamic(checkpoint, tmp_path_factory):
    """The detector with an open batch."""
    made = qcore.recipe(checkpoint, batch="dynamic")
    return made.start().save(tmp_path_factory.mktemp("dynamic"), to="onnx")


@pytest.fixture(scope="module")
def by_fours(checkpoint, tmp_path_factory):
    """The detector with a batch of four."""
    return qcore.recipe(checkpoint, batch=4).start().save(tmp_path_factory.mktemp("fours"), to="onnx")


def video(path, files, rate=10):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (320, 240))
    for file in files:
        writer.write(cv2.resize(cv2.imread(str(file)), (320, 240)))
    writer.release()
    return path


def frames(path):
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        yield read[1]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def found(run, *arguments):
    code, out, err = run("predict", *arguments, "--json")
    assert code == 0, err
    return {document["input"]: document["results"] for document in readable(out)}


def readable(out):
    return [document for document in json.loads(out) if "error" not in document]


def alike(one, other):
    assert [row["name"] for row in one] == [row["name"] for row in other]
    for mine, theirs in zip(one, other, strict=True):
        assert np.abs(np.subtract(mine["box"], theirs["box"])).max() < 0.1
        assert mine["confidence"] == pytest.approx(theirs["confidence"], abs=1e-4)


def test_pictures_patterns_and_videos_in_one_run(run, exported, pictures, clip, tmp_path):
    one = pictures / "images" / "0003.png"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "x.png").write_bytes(one.read_bytes())
    got = found(run, exported, one, clip, tmp_path / "**" / "*.png", "--limit", "3", "--stride", "2")
    copy = str(tmp_path / "deep" / "er" / "x.png")
    assert list(got) == [str(one), f"{clip}#0", f"{clip}#2", f"{clip}#4", copy]
    assert got[copy] == got[str(one)] != []
    assert got[f"{clip}#2"] != got[f"{clip}#4"]


def test_a_drawn_video_has_every_frame(run, exported, pictures, clip, tmp_path):
    picture = pictures / "images" / "0000.png"
    code, _, err = run("predict", exported, picture, clip, picture, "--save", tmp_path)
    assert (code, err) == (0, "")
    assert names(tmp_path) == ["0000-2.jpg", "0000.jpg", "clip.mp4"]
    drawn, plain = list(frames(tmp_path / "clip.mp4")), list(frames(clip))
    assert len(drawn) == FRAMES
    assert cv2.VideoCapture(str(tmp_path / "clip.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    for one, other in zip(drawn, plain, strict=True):
        apart = np.abs(one.astype(int) - other).max(2)
        assert np.median(apart) < 30  # the same picture
        assert (apart > 100).any()  # with something on it


def test_a_broken_frame_is_named_and_skipped(run, exported, clip, tmp_path):
    data = bytearray(clip.read_bytes())
    begin = [place for place in range(len(data) - 2) if data[place : place + 3] == b"\xff\xd8\xff"][5]
    data[begin : begin + 400] = bytes(400)
    broken = tmp_path / "broken.avi"
    broken.write_bytes(data)
    code, out, err = run("predict", exported, broken, "--json", "--save", tmp_path / "shown")
    assert code == 0
    assert [document["input"].rpartition("#")[2] for document in readable(out)] == [
        str(number) for number in range(FRAMES) if number != 5
    ]
    told = f"{broken}#5: this frame cannot be decoded"
    assert json.loads(out)[5] == {"input": f"{broken}#5", "results": [], "error": told}
    assert err == f"skipped: {told}\n1 of 12 inputs skipped\n"
    assert len(list(frames(tmp_path / "shown" / "broken.mp4"))) == FRAMES, "the frame before it is shown for its time"


def test_a_truncated_video_and_one_that_is_none(run, exported, clip, tmp_path):
    cut, none = tmp_path / "cut.avi", tmp_path / "none.mp4"
    data = clip.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    none.write_text("no video" * 100)
    code, out, err = run("predict", exported, none, cut, "--json")
    there = len(readable(out))
    assert code == 0
    assert 4 <= there < FRAMES
    told = [f"{none}: not a readable video", f"{cut}: ends after {there} of {FRAMES} frames"]
    assert [document["error"] for document in json.loads(out) if "error" in document] == told
    assert err.splitlines() == [*told, f"1 of {there + 1} inputs skipped"]
    code, _, err = run("predict", exported, none, "--save", tmp_path / "shown", "-o", tmp_path / "o.json")
    assert code == 6
    assert "not a readable video" in err
    assert not (tmp_path / "shown").exists()
    assert not (tmp_path / "o.json").exists()


def test_a_camera_that_is_not_there(run, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("predict", exported, "7")
    assert code == 3
    assert err.splitlines() == [
        "qcore: error: there is no camera 7, and no file of that name", "  hint: name a picture, a folder or a video"
    ]  # fmt: skip


class Camera:
    """A camera that gives grey pictures for ever."""

    def __init__(self, source):
        assert source == 7

    def isOpened(self):
        return True

    def get(self, _):
        return 0.0

    def read(self):
        return True, np.full((48, 64, 3), 90, np.uint8)

    def release(self):
        pass


def test_a_camera_gives_pictures_up_to_the_limit(run, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    got = found(run, exported, "7", "--limit", "3", "--save", tmp_path)
    monkeypatch.undo()
    assert list(got) == ["camera 7#0", "camera 7#1", "camera 7#2"]
    assert len(list(frames(tmp_path / "camera-7.mp4"))) == 3


def test_batches_find_what_single_inputs_find(run, exported, dynamic, by_fours, pictures, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for file in sorted((pictures / "images").iterdir())[:6]:
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "0002-text.png").write_text("no picture")
    one = found(run, exported, folder)
    assert len(one) == 6
    for arguments in ((dynamic,), (dynamic, "--batch-size", "4"), (by_fours,)):
        got = found(run, *arguments[:1], folder, *arguments[1:])
        assert list(got) == list(one)
        for key in one:
            alike(one[key], got[key])


def test_a_batch_size_reaches_the_session(dynamic, pictures):
    predictor = qcore.predictor(dynamic)
    predictor.batch_size = 5
    sizes, session = [], predictor.session

    class Counting:
        def run(self, inputs):
            sizes.append(len(inputs[predictor.contract.inputs[0].name]))
            return session.run(inputs)

    predictor.session = Counting()
    assert len(list(predictor.stream(pictures / "images"))) == 12
    assert sizes == [5, 5, 2]


def test_only_a_batch_is_in_memory(dynamic, pictures):
    predictor = qcore.predictor(dynamic)
    predictor.batch_size = 3
    file = sorted((pictures / "images").iterdir())[0]
    taken = []

    class Endless:
        stem, total, rate = "endless", None, None

        def __iter__(self):
            while True:
                taken.append(file)
                yield file

    results = predictor.run(recordings.items([Endless()]))
    for count in range(1, 8):
        next(results)
        assert len(taken) <= count + 2
    results.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "4"], "--batch-size 4: the batch of this model is fixed at 1"),
        (["--batch-size", "0"], "--batch-size 0 is not a positive number"),
        (["--limit", "0"], "--limit 0 is not a positive number"),
        (["--format", "coco"], "--format coco requires -o"),
        (["--format", "csv", "-o", "{out}"], "there is no format csv"),
        (["--data", "x.json"], "--data requires --format coco"),
        (["--format", "yolo", "-o", "{out}", "--data", "x.json"], "YOLO txt has no ids"),
        (["--format", "coco", "-o", "."], "is a folder; COCO results are one file"),
        (["-o", "."], "is a folder; JSON is one file"),
    ],
)
def test_arguments_that_mean_nothing(run, exported, pictures, tmp_path, arguments, message):
    given = [argument.format(out=tmp_path / "out") for argument in arguments]
    code, _, err = run("predict", exported, pictures / "images" / "0000.png", *given)
    assert code == 2
    assert message in err
    assert names(tmp_path) == []


def test_json_in_a_file_is_what_json_prints(run, exported, pictures, clip, tmp_path):
    inputs = (exported, pictures / "images" / "0000.png", clip)
    code, out, _ = run("predict", *inputs, "--json", "-o", tmp_path / "o.json")
    assert code == 0
    assert json.loads((tmp_path / "o.json").read_text()) == json.loads(out)


def test_coco_results_with_the_ids_of_labelled_data(run, exported, pictures, tmp_path):
    from faster_coco_eval import COCO, COCOeval_faster

    document = json.loads((pictures / "instances.json").read_text())
    for entry in document["images"]:
        entry["id"] += 1000
    for entry in document["annotations"]:
        entry["image_id"] += 1000
        entry["category_id"] += 40
    for entry in document["categories"]:
        entry["id"] += 40
    data = tmp_path / "shifted.json"
    data.write_text(json.dumps(document))
    arguments = ("--format", "coco", "--data", data, "-o", tmp_path / "o.json", "--confidence", "0.01")
    assert run("predict", exported, pictures / "images", *arguments)[0] == 0
    assert names(tmp_path) == ["o.json", "shifted.json"]
    truth = COCO(str(data))
    judge = COCOeval_faster(truth, truth.loadRes(str(tmp_path / "o.json")), iouType="bbox")
    judge.run()
    assert judge.stats_as_dict["AP_50"] > 0.8


def test_coco_results_without_labelled_data_say_what_their_ids_mean(run, exported, pictures, tmp_path):
    from faster_coco_eval import COCO

    code, out, _ = run(
        "predict", exported, pictures / "images", "--format", "coco", "-o", tmp_path / "o.json", "--json"
    )
    assert code == 0
    truth = COCO(str(tmp_path / "o.images.json"))
    results = truth.loadRes(str(tmp_path / "o.json"))
    assert sorted(truth.getImgIds()) == list(range(12))  # 0000.png to 0011.png
    categories = truth.loadCats(truth.getCatIds())
    assert [entry["name"] for entry in categories] == ["ellipse", "rectangle", "triangle", "star"]
    for document in json.loads(out):
        (image,) = [entry for entry in truth.dataset["images"] if entry["file_name"] == document["input"]]
        rows = results.loadAnns(results.getAnnIds(imgIds=[image["id"]]))
        back = Detections.from_coco(rows, categories)
        alike(back.records(), document["results"])


def test_pictures_whose_names_are_no_numbers_are_numbered(run, exported, pictures, clip, tmp_path):
    arguments = ("--format", "coco", "-o", tmp_path / "o.json", "--limit", "2", "--quiet")
    assert run("predict", exported, pictures / "images" / "0005.png", clip, *arguments)[0] == 0
    images = json.loads((tmp_path / "o.images.json").read_text())["images"]
    assert [(entry["id"], entry["file_name"].rpartition("/")[2]) for entry in images] == [
        (1, "0005.png"), (2, "clip.avi#0"), (3, "clip.avi#1")
    ]  # fmt: skip


def test_a_picture_that_the_data_does_not_name(run, exported, pictures, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes((pictures / "images" / "0000.png").read_bytes())
    arguments = ("--format", "coco", "--data", pictures / "instances.json", "-o", tmp_path / "o.json")
    code, _, err = run("predict", exported, other, pictures / "images" / "0001.png", *arguments)
    assert code == 0
    assert f"skipped: {other}: {pictures / 'instances.json'} has no picture of this name" in err
    assert {row["image_id"] for row in json.loads((tmp_path / "o.json").read_text())} == {number(pictures, "0001.png")}


def test_data_that_was_written_on_windows(run, exported, pictures, tmp_path):
    document = json.loads((pictures / "instances.json").read_text())
    for entry in document["images"]:
        entry["file_name"] = f"D:\\set\\{entry['file_name']}"
    (tmp_path / "data.json").write_text(json.dumps(document), encoding="utf-8-sig")
    arguments = ("--format", "coco", "--data", tmp_path / "data.json", "-o", tmp_path / "o.json")
    assert run("predict", exported, pictures / "images" / "0001.png", *arguments)[0] == 0
    assert {row["image_id"] for row in json.loads((tmp_path / "o.json").read_text())} == {number(pictures, "0001.png")}


def test_classes_that_the_data_does_not_have_are_left_out_and_said(run, exported, pictures, tmp_path):
    document = json.loads((pictures / "instances.json").read_text())
    document["categories"] = [entry for entry in document["categories"] if entry["name"] != "star"]
    kept = {entry["id"] for entry in document["categories"]}
    (tmp_path / "data.json").write_text(json.dumps(document))
    arguments = ("--format", "coco", "--data", tmp_path / "data.json", "-o", tmp_path / "o.json", "--json")
    code, out, err = run("predict", exported, pictures / "images", *arguments)
    assert code == 0
    assert "does not have are left out: star" in err
    every = [row for document in json.loads(out) for row in document["results"]]
    rows = json.loads((tmp_path / "o.json").read_text())
    assert len(rows) == sum(row["name"] != "star" for row in every) < len(every)
    assert {row["category_id"] for row in rows} <= kept


@pytest.mark.parametrize("text", ["no json", "[]", '{"images": [{}], "categories": []}'])
def test_data_that_is_no_coco_json(run, exported, pictures, tmp_path, text):
    (tmp_path / "data.json").write_text(text)
    arguments = ("--format", "coco", "--data", tmp_path / "data.json", "-o", tmp_path / "o.json")
    code, _, err = run("predict", exported, pictures / "images", *arguments)
    assert code == 6
    assert "data.json: not a COCO json" in err


def number(pictures, name):
    images = json.loads((pictures / "instances.json").read_text())["images"]
    return next(entry["id"] for entry in images if entry["file_name"] == name)


def test_yolo_files_say_where_everything_is(run, exported, pictures, clip, tmp_path):
    images = pictures / "images"
    arguments = ("--format", "yolo", "-o", tmp_path, "--limit", "3")
    got = found(run, exported, images / "0000.png", clip, images, *arguments)
    numbered = [f"{place:04}.txt" for place in range(2)]
    assert names(tmp_path) == sorted([*numbered, "0000-2.txt", "clip_0.txt", "clip_1.txt", "clip_2.txt"])
    for place in range(2):
        source = images / f"{place:04}.png"
        height, width = cv2.imread(str(source)).shape[:2]
        rows = np.loadtxt(tmp_path / f"{place:04}.txt", ndmin=2).reshape(-1, 6)
        kinds, centre, size = rows[:, 0], rows[:, 1:3] * (width, height), rows[:, 3:5] * (width, height)
        wanted = got[str(source)]
        assert kinds.tolist() == [row["class_id"] for row in wanted]
        boxes = np.concatenate((centre - size / 2, centre + size / 2), 1)
        assert np.abs(boxes - np.array([row["box"] for row in wanted]).reshape(-1, 4)).max(initial=0) < 0.01
        assert rows[:, 5] == pytest.approx([row["confidence"] for row in wanted], abs=1e-6)


def test_yolo_files_without_confidences_are_labels(run, exported, pictures, tmp_path):
    (tmp_path / "images").mkdir()
    source = tmp_path / "images" / "0000.png"
    source.write_bytes((pictures / "images" / "0000.png").read_bytes())
    rows = found(run, exported, source, "--format", "yolo", "-o", tmp_path / "labels")[str(source)]
    label = tmp_path / "labels" / "0000.txt"
    label.write_text("".join(f"{line.rpartition(' ')[0]}\n" for line in label.read_text().splitlines()))
    (tmp_path / "data.yaml").write_text("val: images\nnames: [ellipse, rectangle, triangle, star]\n")
    dataset = read_labels(tmp_path / "data.yaml")
    (item,) = dataset
    labels = dataset.labels(item, cv2.imread(str(source)).shape[:2])
    assert labels.class_id.tolist() == [row["class_id"] for row in rows]
    assert np.abs(labels.xyxy - np.array([row["box"] for row in rows])).max() < 0.01


def test_yolo_labels_mirror_folders_and_are_read_back(run, exported, pictures, tmp_path):
    files = {"a/b.png": "0000.png", "c/b.png": "0001.png", "b-2.png": "0002.png"}
    for name, source in files.items():
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes((pictures / "images" / source).read_bytes())
    rows = found(run, exported, tmp_path / "images", "--format", "yolo-labels", "-o", tmp_path / "labels")
    written = sorted(str(path.relative_to(tmp_path / "labels")) for path in (tmp_path / "labels").rglob("*.txt"))
    assert written == ["a/b.txt", "b-2.txt", "c/b.txt"]
    (tmp_path / "data.yaml").write_text("val: images\nnames: [ellipse, rectangle, triangle, star]\n")
    dataset = read_labels(tmp_path / "data.yaml")
    for item in dataset:
        labels = dataset.labels(item, cv2.imread(str(item.path)).shape[:2])
        boxes = np.array([row["box"] for row in rows[str(item.path)]]).reshape(-1, 4)
        assert np.abs(labels.xyxy - boxes).max(initial=0) < 0.01
    assert qcore.evaluate(exported, tmp_path / "data.yaml", protocol="deployed").figures["AP50"] == pytest.approx(1)


def test_calibration_and_evaluation_take_pictures_only(run, exported, clip, tmp_path):
    quantizer = ("--quantizer", "onnxruntime", "--backend", "onnxruntime")
    code, _, err = run("quantize", exported, "--calib", clip, *quantizer, "-o", tmp_path)
    assert code == 6
    assert "a video, and pictures are wanted here" in err
    predictor = qcore.predictor(exported)
    with pytest.raises(FileError, match="a video"):
        list(predictor.run([clip]))
    assert len(list(predictor.stream(clip))) == FRAMES


def test_a_drawn_video_does_not_take_the_place_of_its_source(run, exported, clip, tmp_path):
    mine = tmp_path / "mine.mp4"
    mine.write_bytes(clip.read_bytes())
    code, _, err = run("predict", exported, mine, "--save", tmp_path)
    assert code == 2
    assert "would be overwritten by its drawing" in err
    assert mine.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize(
    ("inputs", "folder", "refused"),
    [
        ("in", "in", True),
        ("in", "in/drawn", True),
        ("in/*.jpg", "in", True),
        ("in/**/*", "in/drawn", True),
        ("in/**", "in/drawn", True),
        ("in", "drawn", False),
        ("in/*.png", "in", False),
        ("in/*.jpg", "in/drawn", False),
        ("in/a[1].png", "in", False),
    ],
)
def test_drawings_do_not_become_inputs_of_the_next_run(run, exported, tmp_path, inputs, folder, refused):
    (tmp_path / "in").mkdir()
    for name in ("one.png", "two.jpg", "a[1].png"):
        cv2.imwrite(str(tmp_path / "in" / name), np.full((64, 64, 3), 90, np.uint8))
    before = set(tmp_path.rglob("*.*"))
    code, _, err = run("predict", exported, tmp_path / inputs, "--save", tmp_path / folder)
    assert code == (2 if refused else 0), err
    assert ("would read the drawings as inputs" in err or "would be overwritten by its drawing" in err) == refused
    assert bool(set(tmp_path.rglob("*.*")) - before) == (not refused)


def test_what_is_skipped_is_told_under_quiet_too(run, exported, pictures, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    code, out, err = run("predict", exported, pictures / "images" / "0000.png", tmp_path / "broken.jpg", "--quiet")
    assert code == 0
    assert len(out.splitlines()) == 1
    assert err.startswith(f"skipped: {tmp_path / 'broken.jpg'}: ")


def test_results_of_pictures_that_the_labelled_data_lacks_are_not_an_empty_file(run, exported, pictures, tmp_path):
    mine = tmp_path / "mine.png"
    mine.write_bytes(sorted((pictures / "images").iterdir())[0].read_bytes())
    data = pictures / "instances.json"
    code, _, err = run(
        "predict", exported, mine, "-o", tmp_path / "out.json", "--format", "coco", "--data", data, "--quiet"
    )
    assert code == 6
    assert "out.json: not written, because no result could be added to it" in err
    assert not (tmp_path / "out.json").exists()


def test_results_do_not_take_the_place_of_what_is_read(run, exported, pictures, tmp_path):
    mine, data = tmp_path / "mine.png", tmp_path / "instances.json"
    mine.write_bytes(sorted((pictures / "images").iterdir())[0].read_bytes())
    data.write_bytes((pictures / "instances.json").read_bytes())
    before = mine.read_bytes(), data.read_bytes()
    for out, more in ((mine, []), (data, ["--format", "coco", "--data", data])):
        code, _, err = run("predict", exported, mine, "-o", out, *more)
        assert code == 2
        assert f"-o {out} would overwrite what is read" in err
    assert (mine.read_bytes(), data.read_bytes()) == before


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(("sent", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_what_ends_the_command_during_a_video_leaves_nothing_half_written(exported, pictures, tmp_path, sent, code):
    files = sorted((pictures / "images").iterdir())
    video(tmp_path / "long.avi", files * 100)
    out = tmp_path / "out"
    command = [
        sys.executable, "-c", INTERRUPTIBLE, "predict", exported, tmp_path / "long.avi", "--save", out,
        "-o", out / "o.json", "--format", "coco",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not any(
            path.suffix == ".mp4" and path.stat().st_size for path in out.glob(".*")
        ):
            time.sleep(0.05)
        process.send_signal(signal.Signals[sent])
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert names(out) == ["o.json.partial"]
    assert f" of 1,200 inputs are kept in {out / 'o.json.partial'}" in err


def test_results_go_to_standard_output(exported, pictures):
    import subprocess
    import sys

    command = [sys.executable, "-m", "qcore", "predict", exported, pictures / "images" / "0000.png", "-o", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (document,) = json.loads(done.stdout)
    assert document["results"]


def test_a_device_is_not_replaced(run, exported, pictures):
    from pathlib import Path

    assert run("predict", exported, pictures / "images" / "0000.png", "-o", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()


def test_names_that_are_no_utf8_are_kept_and_read_back(run, exported, pictures, tmp_path):
    name = os.fsdecode(bytes(tmp_path) + b"/b\xff.png")
    Path(name).write_bytes(next((pictures / "images").iterdir()).read_bytes())
    code, out, _ = run("predict", exported, name)
    assert (code, out.startswith(f"{tmp_path}/b\\udcff.png: ")) == (0, True)
    _, out, _ = run("predict", exported, name, "--json")
    assert [entry["input"] for entry in json.loads(out)] == [name]
    assert run("predict", exported, name, "-o", tmp_path / "o.json")[0] == 0
    assert [entry["input"] for entry in json.loads((tmp_path / "o.json").read_text())] == [name]
    assert run("predict", exported, name, "-o", tmp_path / "c.json", "--format", "coco")[0] == 0
    assert json.loads((tmp_path / "c.images.json").read_text())["images"][0]["file_name"] in (name, Path(name).name)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tiff"])
def test_every_frame_of_an_animation_is_run(run, exported, pictures, tmp_path, suffix):
    """And a folder holds it like a picture; one that is not animated is one picture."""
    from PIL import Image

    frames = [Image.open(path).convert("RGB").resize((96, 64)) for path in sorted((pictures / "images").iterdir())[:3]]
    file = tmp_path / "in" / f"clip{suffix}"
    file.parent.mkdir()
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=100, loop=0)
    frames[1].save(tmp_path / "in" / f"still{suffix}")
    code, out, err = run("predict", exported, tmp_path / "in", "--json")
    assert code == 0, err
    names = [entry["input"] for entry in json.loads(out)]
    assert names == [*(f"{file}#{number}" for number in range(3)), str(tmp_path / "in" / f"still{suffix}")]
    one = json.loads(run("predict", exported, file, "--limit", "2", "--json")[1])
    assert [entry["input"] for entry in one] == names[:2]
    assert run("predict", exported, file, "--save", tmp_path / "shown")[0] == 0
    assert len(list((tmp_path / "shown").iterdir())) == 1
