"""Which pictures a folder, a list, a data.yaml or a COCO json stands for, as they circulate."""

import json
import os
import warnings

import cv2
import numpy as np
import pytest

from qcore.plugin import AssumptionWarning, FileError
from qcore_kit.pictures import files as pictures

PNG = cv2.imencode(".png", np.full((4, 4, 3), 9, np.uint8))[1].tobytes()


@pytest.fixture
def put(tmp_path):
    """Write pictures below the temporary folder, given by their names."""

    def write(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(PNG)
        return tmp_path

    return write


def names(path, root):
    return [file.relative_to(root).as_posix() for file in pictures.listed(path)]


def told(path):
    """What is listed, and the remarks."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files = pictures.listed(path)
    return files, [str(each.message) for each in caught]


def test_links_are_followed_and_no_folder_is_entered_twice(put):
    root = put("set/a/1.jpg", "disk/b/2.jpg", "disk/b/deep/3.jpg")
    (root / "set" / "b").symlink_to(root / "disk" / "b")
    (root / "set" / "a" / "loop").symlink_to(root / "set")
    (root / "set" / "0-same-as-a").symlink_to(root / "set" / "a")
    assert names(root / "set", root) == ["set/a/1.jpg", "set/b/2.jpg", "set/b/deep/3.jpg"]
    (root / "all").symlink_to(root / "disk")
    assert names(root / "all", root) == ["all/b/2.jpg", "all/b/deep/3.jpg"]
    assert names(root / "set" / "**" / "*.jpg", root) == ["set/a/1.jpg", "set/b/2.jpg", "set/b/deep/3.jpg"]


@pytest.mark.parametrize(
    "name",
    [".ipynb_checkpoints/a-checkpoint.jpg", "._a.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/b/._a.jpg",
     "b/.thumbnails/a.png", "$RECYCLE.BIN/x.jpg", "#recycle/a.jpg"],
)  # fmt: skip
def test_what_file_managers_leave_is_no_picture(put, name):
    root = put("a.jpg", "b/c.jpg", name)
    assert names(root, root) == ["a.jpg", "b/c.jpg"]
    assert names(root / "*.jpg", root) == ["a.jpg"]
    assert names(root / "**" / "*.jpg", root) == ["a.jpg", "b/c.jpg"]


def test_a_hidden_folder_that_is_named_is_read(put):
    root = put(".cache/images/a.jpg", ".cache/images/.b.jpg")
    assert names(root / ".cache" / "images", root) == [".cache/images/a.jpg"]
    assert names(root / ".cache" / "*" / "a.jpg", root) == [".cache/images/a.jpg"]


def test_suffixes_of_any_case_and_none(put):
    root = put("a.JPG", "b.jfif", "c.Webp", "d.TIF", "e")
    (root / "f").write_text("notes")
    (root / "g.txt").write_bytes(PNG)
    assert names(root, root) == ["a.JPG", "b.jfif", "c.Webp", "d.TIF", "e"]


def test_what_cannot_be_listed_is_told(put):
    root = put("a.jpg", "b.HEIC", "c.heic", "d.svg")
    (root / "more").symlink_to(root / "unmounted")
    (root / "link.jpg").symlink_to(root / "gone.jpg")
    files, remarks = told(root)
    assert [file.name for file in files] == ["a.jpg"]
    assert remarks == [
        f"{root}: files of kinds that cannot be read are left out: 2 .heic, 1 .svg",
        f"{root}: 2 links without a target left out, e.g. {root / 'link.jpg'}",
    ]
    (root / "a.jpg").unlink()
    with pytest.warns(AssumptionWarning), pytest.raises(FileError, match="no picture") as caught:
        pictures.listed(root)
    assert ".heic" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "there"),
    [
        (b"images/a.jpg\nimages/b.jpg\n", 2),
        (b"./images/a.jpg\r\n\r\n# those of May\r\n./images/b.jpg", 2),
        (b"\xef\xbb\xbfimages/a.jpg\nimages/b.jpg\n", 2),
        ("images/a.jpg\nimages/b.jpg\n".encode("utf-16"), 2),
        (b"images\\a.jpg\r\nimages\\b.jpg\r\n", 2),
        (b"C:\\Users\\me\\set\\images\\a.jpg\nC:\\Users\\me\\set\\images\\b.jpg\n", 2),
        (b"/content/set/images/a.jpg\n/content/set/images/b.jpg\n", 2),
        (b'"images/a.jpg"\nimages/B.JPG\n', 2),
        (b"images/a.jpg\nimages/a.jpg\n", 1),
        (b"images/a.jpg\nimages/caf\xe9.jpg\n", 1),
    ],
)
def test_lists_of_any_system(put, content, there):
    root = put("images/a.jpg", "images/b.jpg")
    (root / "val.txt").write_bytes(content)
    assert [file.name for file in told(root / "val.txt")[0]] == ["a.jpg", "b.jpg"][:there]


def test_names_that_are_not_ascii(put):
    root = put("images/cafe\u0301.jpg")  # as macOS archives write it
    (root / "images" / os.fsdecode(b"na\xefve.jpg")).write_bytes(PNG)  # and an old Linux
    (root / "val.txt").write_bytes("images/caf\u00e9.jpg\nimages/na\u00efve.jpg\n".encode("latin-1"))
    assert len(pictures.listed(root / "val.txt")) == 2


def test_what_a_list_does_not_find_is_told(put):
    root = put("images/a.jpg", "images/b.jpg")
    (root / "val.txt").write_text("/old/images/a.jpg\n/old/images/b.jpg\n/old/images/c.jpg\n/old/images/a.jpg\n")
    assert told(root / "val.txt")[1] == [
        f"{root / 'val.txt'}: 3 paths not found as written, e.g. those in old: used {root}",
        f"{root / 'val.txt'}: 1 picture listed more than once, each is used once",
        f"{root / 'val.txt'}: 1 missing picture skipped, e.g. /old/images/c.jpg",
    ]
    (root / "val.txt").write_text("x/c.jpg\n")
    with pytest.raises(FileError, match=r"val\.txt: none of its images were found, e\.g\. .*c\.jpg"):
        pictures.listed(root / "val.txt")
    (root / "val.txt").write_text("\n# nothing\n")
    with pytest.raises(FileError, match=r"val\.txt: lists no picture"):
        pictures.listed(root / "val.txt")


def test_pictures_of_one_name_from_two_folders_are_not_taken_for_one(put):
    root = put("one/1.jpg")
    (root / "val.txt").write_text("D:\\one\\1.jpg\nD:\\two\\1.jpg\n")
    files, remarks = told(root / "val.txt")
    assert [file.relative_to(root).as_posix() for file in files] == ["one/1.jpg"]
    assert any("1 missing picture" in line for line in remarks)


YAMLS = {
    "beside": "val: valid/images",
    "roboflow": "train: ../train/images\nval: ../valid/images\ntest: ../test/images",
    "its own folder's name": "val: street-1/valid/images",
    "windows": "val: ..\\valid\\images",
    "drive": "val: 'D:\\data\\street-1\\valid\\images'",
    "another machine": "val: /content/street-1/valid/images",
    "path": "path: .\nval: valid/images",
    "path of another machine": "path: /content/street-1\nval: valid/images",
    "path of upstream": "path: ../datasets/street-1\nval: valid/images",
    "folders": "val: [valid/images/x, valid/images/y]",
    "list": "val: valid/val.txt",
    "only train": "train: valid/images",
    "no val": "val:\ntest: valid/images",
}


@pytest.mark.parametrize("kind", YAMLS)
def test_data_yaml_as_it_circulates(put, kind):
    root = put("street-1/valid/images/x/a.jpg", "street-1/valid/images/y/b.jpg") / "street-1"
    (root / "valid" / "val.txt").write_text("./images/x/a.jpg\n./images/y/b.jpg\n")
    (root / "data.yaml").write_text(f"{YAMLS[kind]}\nnames: [cat]\n")
    files, _ = told(root / "data.yaml")
    assert [os.path.relpath(file, root) for file in files] == ["valid/images/x/a.jpg", "valid/images/y/b.jpg"]


def test_calibration_takes_train_before_val(put):
    root = put("train/a.jpg", "val/b.jpg")
    (root / "data.yaml").write_text("train: train\nval: val\nnames: [cat]\n")
    assert told(root / "data.yaml") == ([root / "train" / "a.jpg"], [])
    (root / "data.yaml").write_text("train: gone\nval: val\nnames: [cat]\n")
    files, (remark,) = told(root / "data.yaml")
    assert files == [root / "val" / "b.jpg"]
    assert "no pictures of train; those of val are used" in remark


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a\n", "not a YOLO data.yaml"),
        ("names: [a]\n", "names no pictures"),
        ("names: [a]\nval: 3\n", "val: expected folders or list files, got 3"),
        ('names: [a]\nval: "C:\\data"\n', "not a YOLO data.yaml .*in line 2"),
        ("names: [a]\nval: gone/images\n", "gone/images: no such folder of pictures"),
        ("names: [a\n", "not a YOLO data.yaml"),
    ],
)
def test_a_data_yaml_that_is_none(tmp_path, content, message):
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(FileError, match=message):
        pictures.listed(tmp_path / "data.yaml")


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("images/a.jpg", "a.jpg"),
        ("a.jpg", "a.jpg"),
        ("images/a.jpg", "images/a.jpg"),
        ("images/sub/a.jpg", "sub\\a.jpg"),
        ("images/sub/a.jpg", "D:\\set\\sub\\a.jpg"),
        ("images/a.jpg", "/home/me/coco/images/a.jpg"),
        ("images/a.jpg", "A.JPG"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_coco_files_name_pictures(put, where, name, encoding):
    root = put(where)
    document = {"images": [{"id": 1, "file_name": name}], "annotations": [], "categories": []}
    (root / "instances.json").write_text(json.dumps(document), encoding=encoding)
    files, _ = told(root / "instances.json")
    assert files == [root / where]


def test_cocos_own_folders(put):
    root = put("val2017/a.jpg", "images/train2017/b.jpg")
    (root / "annotations").mkdir()
    for split, name in {"val2017": "a.jpg", "train2017": "b.jpg"}.items():
        document = {"images": [{"id": 1, "file_name": name}]}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))
        assert pictures.listed(root / "annotations" / f"instances_{split}.json")[0].name == name
