"""`qcore predict` interrupted and continued; inputs that cannot be read; how many inputs are taken."""

import json
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from qcore.plugin import FileError, Predictor


@pytest.fixture
def images(pictures, tmp_path):
    """Six pictures, the third of which is damaged."""
    folder = tmp_path / "images"
    folder.mkdir()
    for file in sorted((pictures / "images").iterdir())[:6]:
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "0002.png").write_text("no picture")
    return folder


@pytest.fixture
def clip(pictures, tmp_path):
    import cv2

    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for file in sorted((pictures / "images").iterdir()):
        writer.write(cv2.resize(cv2.imread(str(file)), (320, 240)))
    writer.release()
    return path


@pytest.fixture
def interrupted(run, monkeypatch):
    """Run `qcore predict` until so many inferences are done; gives what it says."""

    def call(inferences, *arguments, error=KeyboardInterrupt, code=130):
        numbers, infer = count(1), Predictor._infer

        def until(self, raws):
            if next(numbers) > inferences:
                raise error
            return infer(self, raws)

        with monkeypatch.context() as patch:
            patch.setattr(Predictor, "_infer", until)
            got, _, err = run("predict", *arguments)
        assert got == code, err
        return err

    return call


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("inferences", "arguments"),
    [
        (1, ("-o", "{out}/o.json")),
        (11, ("-o", "{out}/o.json", "--format", "coco")),
        (17, ("-o", "{out}", "--format", "yolo")),
        (11, ("-o", "{out}/o.json", "--save", "{out}/shown")),
        (17, ("--save", "{out}")),
    ],
)
def test_a_continued_run_writes_what_an_uninterrupted_one_does(
    run, interrupted, exported, images, clip, tmp_path, arguments, inferences
):
    """Pictures with a damaged one, a video of twelve frames, pictures of the same names."""
    inputs = (exported, images, clip, images / "0001.png", images / "0000.png")
    once, twice = ([part.format(out=tmp_path / name) for part in arguments] for name in ("once", "twice"))
    assert run("predict", *inputs, *once)[0] == 0
    err = interrupted(inferences, *inputs, *twice)
    seen = inferences + (inferences > 2)
    assert err.splitlines()[-2].startswith(f"interrupted; {seen} of 20 inputs are kept in {tmp_path / 'twice'}/")
    assert err.splitlines()[-1].endswith(" --resume")
    code, _, err = run("predict", *inputs, *twice, "--resume")
    assert code == 0, err
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")


def test_a_killed_run_is_continued(run, exported, images, tmp_path):
    """Killed for good, in the middle of a line."""
    script = (
        "import os, sys\nfrom qcore.plugin import Predictor\nfrom qcore.cli import main\n"
        "left, infer = iter(range(3)), Predictor._infer\n"
        "def until(self, raws):\n    if next(left, None) is None:\n        os.kill(os.getpid(), 9)\n"
        "    return infer(self, raws)\n"
        "Predictor._infer = until\nsys.exit(main())"
    )
    command = ["predict", str(exported), str(images), "-o", str(tmp_path / "o.json")]
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, check=False)
    assert done.returncode == -9
    partial = tmp_path / "o.json.partial"
    assert len(partial.read_text().splitlines()) == 5
    partial.write_bytes(partial.read_bytes() + b'{"part": 4, "docu')
    assert run(*command, "--resume")[0] == 0
    assert files(tmp_path) == sorted(["o.json", *(f"images/{file.name}" for file in images.iterdir())])
    assert run("predict", exported, images, "-o", tmp_path / "once.json")[0] == 0
    assert (tmp_path / "o.json").read_bytes() == (tmp_path / "once.json").read_bytes()


def test_the_document_of_a_continued_run_is_whole(run, interrupted, exported, images, tmp_path):
    arguments = (exported, images, "-o", tmp_path / "o.json", "--json")
    interrupted(2, *arguments)
    _, out, _ = run("predict", *arguments, "--resume")
    assert json.loads(out) == json.loads((tmp_path / "o.json").read_text())
    assert len(json.loads(out)) == 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--confidence", "0.9"], "with another threshold or preprocessing"),
        (["--stride", "2"], "with another --stride"),
        (["--format", "coco"], "with another --format"),
        (["{images}/0000.png"], "with another set of inputs"),
    ],
)
def test_what_was_kept_of_another_run_is_refused(run, interrupted, exported, images, tmp_path, change, said):
    arguments = (exported, images, "-o", tmp_path / "o.json")
    interrupted(2, *arguments)
    before = contents(tmp_path)
    more = [part.format(images=images) for part in change]
    code, _, err = run("predict", exported, *more, *arguments[1:], "--resume")
    assert code == 6, err
    assert f"o.json.partial: belongs to a run {said}" in err
    assert contents(tmp_path) == before
    os.utime(images / "0000.png", (1, 1))
    assert f"{images / '0000.png'} has changed since it was run" in run("predict", *arguments, "--resume")[2]


def test_another_model_is_refused(run, interrupted, exported, int8, images, tmp_path):
    interrupted(2, exported, images, "-o", tmp_path / "o.json")
    code, _, err = run("predict", int8, images, "-o", tmp_path / "o.json", "--resume")
    assert (code, "belongs to a run with another model" in err) == (6, True)


def test_what_was_kept_is_not_overwritten_by_the_same_command(run, interrupted, exported, images, tmp_path):
    arguments = (exported, images, "-o", tmp_path / "o.json")
    interrupted(2, *arguments)
    before = contents(tmp_path)
    code, _, err = run("predict", *arguments)
    assert code == 2
    assert "o.json.partial: an interrupted run of this command left results of 3 inputs" in err
    assert "add --resume" in err
    assert contents(tmp_path) == before
    assert run("predict", *arguments, "--confidence", "0.9")[0] == 0
    assert not (tmp_path / "o.json.partial").exists()


@pytest.mark.parametrize("text", ["notes\n", "[1]\n", '{"qcore_partial": 1}\n{"part": "x"}\n', "\xff\n"])
def test_a_file_of_something_else_is_neither_continued_nor_overwritten(run, exported, images, tmp_path, text):
    partial = tmp_path / "o.json.partial"
    partial.write_bytes(text.encode("latin-1"))
    for more in ((), ("--resume",)):
        code, _, err = run("predict", exported, images, "-o", tmp_path / "o.json", *more)
        assert code == 6
        assert "o.json.partial: not the results of an interrupted run" in err
    assert partial.read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--resume requires -o or --save"),
        (("-o", "/dev/null"), "--resume: /dev/null is not a regular file"),
        (("-o", "{folder}/pipe"), "pipe is not a regular file"),
        (("-o", "-"), "--resume: /dev/stdout is not a regular file"),
    ],
)
def test_nothing_is_kept_beside_pipes_and_devices(run, exported, images, tmp_path, arguments, said):
    os.mkfifo(tmp_path / "pipe")
    given = [part.format(folder=tmp_path) for part in arguments]
    code, _, err = run("predict", exported, images, *given, "--resume")
    assert (code, said in err) == (2, True), err


def test_a_symbolic_link_stays_one_when_continued(run, interrupted, exported, images, tmp_path):
    (tmp_path / "real.json").write_text("[]")
    (tmp_path / "link.json").symlink_to("real.json")
    interrupted(2, exported, images, "-o", tmp_path / "link.json")
    assert (tmp_path / "real.json").read_text() == "[]"
    assert run("predict", exported, images, "-o", tmp_path / "link.json", "--resume")[0] == 0
    assert (tmp_path / "link.json").is_symlink()
    assert len(json.loads((tmp_path / "real.json").read_text())) == 6


def test_an_error_keeps_results_too_and_a_run_without_any_leaves_nothing(run, interrupted, exported, images, tmp_path):
    arguments = (exported, images, "-o", tmp_path / "o.json")
    err = interrupted(2, *arguments, error=FileError("the disk is gone"), code=6)
    assert "3 of 6 inputs are kept in" in err
    assert run("predict", *arguments, "--resume")[0] == 0
    interrupted(0, exported, images, "-o", tmp_path / "new" / "o.json")
    assert not (tmp_path / "new").exists() or files(tmp_path / "new") == []


def test_two_runs_do_not_write_one_file(run, exported, images, tmp_path, interrupted):
    fcntl = pytest.importorskip("fcntl")
    interrupted(2, exported, images, "-o", tmp_path / "o.json")
    with (tmp_path / "o.json.partial").open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        for more in ([], ["--resume"], ["--confidence", "0.9"]):
            code, _, err = run("predict", exported, images, "-o", tmp_path / "o.json", *more)
            assert (code, "another process is writing it" in err) == (2, True)


def test_unreadable_inputs_stand_in_every_document(run, exported, images, tmp_path):
    code, out, err = run("predict", exported, images, "--json", "-o", tmp_path / "o.json")
    documents = json.loads(out)
    assert (code, documents) == (0, json.loads((tmp_path / "o.json").read_text()))
    assert [document["input"] for document in documents] == [str(path) for path in sorted(images.iterdir())]
    assert all(isinstance(document["results"], list) for document in documents)
    assert [Path(document["input"]).name for document in documents if "error" in document] == ["0002.png"]
    assert err.splitlines()[-1] == "1 of 6 inputs skipped"


def test_strict_ends_with_the_first_unreadable_input(run, exported, images, pictures, tmp_path):
    code, _, err = run("predict", exported, images, "-o", tmp_path / "o.json", "--strict", "--quiet")
    assert code == 6
    assert err.startswith(f"qcore: error: {images / '0002.png'}: ")
    assert not (tmp_path / "o.json").exists()
    (images / "0002.png").write_bytes((images / "0001.png").read_bytes())
    assert run("predict", exported, images, "-o", tmp_path / "o.json", "--strict", "--resume")[0] == 0
    assert len(json.loads((tmp_path / "o.json").read_text())) == 6
    document = json.loads((pictures / "instances.json").read_text())
    for entry in document["images"]:
        entry["file_name"] = Path(entry["file_name"]).name
    document["images"] = [entry for entry in document["images"] if (images / entry["file_name"]).exists()]
    there = {entry["id"] for entry in document["images"]}
    document["annotations"] = [entry for entry in document["annotations"] if entry["image_id"] in there]
    (images / "0003.png").write_text("no picture")
    (tmp_path / "data.json").write_text(json.dumps(document))
    labelled = ("eval", exported, "--data", tmp_path / "data.json", "--images", images)
    _, out, err = run(*labelled, "--json")
    assert json.loads(out)["skipped"] == [str(images / "0003.png")]
    assert err.splitlines()[-1] == "1 input skipped"
    code, out, err = run(*labelled, "--strict")
    assert (code, out) == (6, "")
    assert err.startswith(f"qcore: error: {images / '0003.png'}: ")


def test_a_limit_counts_pictures_and_the_frames_of_each_video(run, exported, images, clip):
    _, out, _ = run("predict", exported, clip, images, "--limit", "2", "--json")
    assert [document["input"] for document in json.loads(out)] == [
        f"{clip}#0", f"{clip}#1", str(images / "0000.png"), str(images / "0001.png")
    ]  # fmt: skip


def test_eval_takes_the_first_inputs(run, exported, pictures, tmp_path):
    data = pictures / "instances.json"
    few = json.loads(run("eval", exported, "--data", data, "--limit", "5", "--json")[1])
    document = json.loads(data.read_text())
    document["images"] = document["images"][:5]
    kept = {entry["id"] for entry in document["images"]}
    document["annotations"] = [entry for entry in document["annotations"] if entry["image_id"] in kept]
    (tmp_path / "few.json").write_text(json.dumps(document))
    same = json.loads(
        run("eval", exported, "--data", tmp_path / "few.json", "--images", pictures / "images", "--json")[1]
    )
    assert few["images"] == 5
    assert {name: few[name] for name in ("AP", "AP50", "recall")} == {
        name: same[name] for name in ("AP", "AP50", "recall")
    }
    assert run("eval", exported, "--data", data, "--limit", "0")[0] == 2
    parts = [tmp_path / f"{number}.json" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        assert run("eval", exported, "--data", data, "--limit", "5", "--part", f"{number}/2", "-o", part)[0] == 0
    merged = ("eval", exported, "--data", data, "--merge", *parts)
    assert json.loads(run(*merged, "--limit", "5", "--json")[1]) == few
    assert run(*merged)[0] == 6


def test_predict_follows_a_protocol(run, exported, images):
    image = images / "0000.png"
    deployed, upstream, own = (
        json.loads(run("predict", exported, image, "--json", *more)[1])[0]["results"]
        for more in (("--protocol", "deployed"), ("--protocol", "upstream"), ())
    )
    assert deployed == own
    assert len(upstream) > len(own)
    code, _, err = run("predict", exported, image, "--protocol", "mine")
    assert (code, "no protocol 'mine'" in err) == (2, True)


def test_a_run_that_fails_in_the_middle_prints_one_document(run, interrupted, exported, images, monkeypatch, capsys):
    code, out, err = run("predict", exported, images, "--json", "--strict")
    *documents, last = json.loads(out)
    assert code == 6
    assert [Path(document["input"]).name for document in documents] == ["0000.png", "0001.png"]
    assert (last["code"], "input" in last) == (6, False)
    assert last["error"] in err
    monkeypatch.setattr(Predictor, "_infer", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run("predict", exported, images, "--json")[:2] == (130, "")


def test_the_document_is_printed_while_inputs_are_run(run, exported, images, monkeypatch, capsys):
    printed, infer = [], Predictor._infer

    def looking(self, raws):
        printed.append(capsys.readouterr().out)
        return infer(self, raws)

    monkeypatch.setattr(Predictor, "_infer", looking)
    _, rest, _ = run("predict", exported, images / "0000.png", images / "0001.png", "--json")
    assert str(images / "0000.png") in printed[1]
    assert len(json.loads("".join(printed) + rest)) == 2
