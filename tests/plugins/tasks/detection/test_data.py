"""Labels as they circulate: right, or refused by file and line; what is odd is counted."""

import json
import warnings

import cv2
import numpy as np
import pytest

from qcore.plugin import FileError
from qcore_kit.pictures.files import inside
from qcore_plugins.tasks.detection.dataset import read

HEIGHT, WIDTH = 100, 200
PNG = cv2.imencode(".png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
BOXES = [(0, 20, 10, 60, 50), (1, 100, 20, 160, 80), (0, 50, 50, 70, 80), (1, 120, 60, 200, 100), (0, 0, 0, 40, 30)]
"""Class, left, top, right, bottom in pixels."""


def line(kind, left, top, right, bottom, tail=""):
    middle = (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT
    numbers = (*middle, (right - left) / WIDTH, (bottom - top) / HEIGHT)
    return f"{kind} {' '.join(f'{number:.6f}' for number in numbers)}{tail}\n"


LINES = "".join(line(*box) for box in BOXES)


@pytest.fixture
def yolo(tmp_path):
    """Write a data set of one picture (or several) with these label lines, and read it."""

    def make(text=LINES, names="[cat, dog]", count=1, **more):
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for number in range(count):
            (tmp_path / "images" / f"{number}.png").write_bytes(PNG)
            (tmp_path / "labels" / f"{number}.txt").write_text(text)
        extra = "".join(f"{key}: {value}\n" for key, value in more.items())
        (tmp_path / "data.yaml").write_text(f"val: images\nnames: {names}\n{extra}")
        return told(tmp_path / "data.yaml")

    return make


@pytest.fixture
def coco(tmp_path):
    """Write a COCO json of one picture with these annotations, and read it."""

    def make(annotations=None, images=None, categories=None):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / "0.png").write_bytes(PNG)
        document = {
            "images": images or [{"id": 5, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
            "annotations": [annotation(*box) for box in BOXES] if annotations is None else annotations,
            "categories": categories or [{"id": 7, "name": "cat"}, {"id": 90, "name": "dog"}],
        }
        (tmp_path / "instances.json").write_text(json.dumps(document))
        return told(tmp_path / "instances.json")

    return make


def annotation(kind, left, top, right, bottom, **more):
    box = [left, top, right - left, bottom - top]
    return {"id": 1, "image_id": 5, "category_id": (7, 90)[kind], "bbox": box, "iscrowd": 0, **more}


def told(path):
    """Class and corners of each label, and what is odd about the data."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = read(path)
        labels = [dataset.labels(item, (HEIGHT, WIDTH)) for item in dataset]
        dataset.finish()
    assert len(caught) <= 4
    odd = dataset.oddities.document()
    rows = [
        (int(kind), *(round(float(side), 2) for side in box))
        for each in labels
        for kind, box in zip(each.class_id, each.xyxy, strict=True)
    ]
    return rows, {kind: entry["count"] for kind, entry in odd.items() if kind != "remarks"}, odd


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        (LINES, {}),
        (LINES + LINES, {"duplicate_labels": 5}),
        (LINES + "".join(line(*box, tail=" 0.5") for box in BOXES), {"duplicate_labels": 5, "ignored_columns": 5}),
        ("".join(line(*box, tail=" 0.91") for box in BOXES), {"ignored_columns": 5}),
        ("".join(line(*box, tail=" 17") for box in BOXES), {"ignored_columns": 5}),
        (LINES.replace("\n", "\r\n\r\n"), {}),
        ("\ufeff" + LINES, {}),
        ("# labels\n" + "".join(line(f"{box[0]}.0", *box[1:]) for box in BOXES).replace(" ", "\t"), {}),
        (LINES + "0 0.5 0.5 0.0 0.2\n", {"empty_boxes": 1}),
    ],
    ids=["plain", "twice", "twice with confidence", "confidence", "track", "windows", "mark", "float class", "empty"],
)
def test_label_files_give_the_boxes_once(yolo, text, odd):
    rows, counts, _ = yolo(text)
    assert rows == [tuple(map(float, box)) for box in BOXES]
    assert counts == odd


def test_labels_written_twice_with_fewer_digits_are_duplicates(yolo, coco):
    boxes = [(kind, *(side + 0.37 for side in box)) for kind, *box in BOXES]
    lines = [line(*box) for box in boxes]
    short = [f"{text[0]} {' '.join(f'{float(word):.3f}' for word in text.split()[1:])}\n" for text in lines]
    rows, counts, _ = yolo("".join(lines + short))
    assert (len(rows), counts) == (5, {"duplicate_labels": 5})
    whole = [annotation(kind, *map(round, sides)) for kind, *sides in boxes]
    rows, counts, _ = coco([*(annotation(*box) for box in boxes), *whole])
    assert (len(rows), counts) == (5, {"duplicate_labels": 5})


def test_boxes_that_only_nearly_coincide_are_told_and_kept(yolo):
    rows, counts, _ = yolo(LINES + line(0, 20, 10.5, 60, 50))
    assert len(rows) == 6
    assert counts == {"nearly_equal_boxes": 1}


def test_an_outline_is_the_box_around_it(yolo):
    rows, counts, _ = yolo("0 0.1 0.2 0.3 0.2 0.3 0.5 0.1 0.5\n1 0.5 0.5 0.6 0.7 0.4 0.9\n")
    assert rows == [(0, 20, 20, 60, 50), (1, 80, 50, 120, 90)]
    assert counts == {}


def test_poses_are_boxes_with_points_behind(yolo):
    rows, counts, _ = yolo(line(*BOXES[0], tail=" 0.1 0.1 2 0.2 0.2 1 0 0 0 0.3 0.3 2"), kpt_shape="[4, 3]")
    assert rows == [tuple(map(float, BOXES[0]))]
    assert counts == {}


def test_what_is_odd_has_an_example_with_its_line(yolo, tmp_path):
    _, counts, odd = yolo(LINES + line(0, 160, 10, 220, 50) + LINES, count=3)
    assert counts == {"duplicate_labels": 15, "boxes_beyond_the_picture": 3}
    assert odd["duplicate_labels"]["example"] == f"{tmp_path}/labels/0.txt: line 7"
    assert odd["boxes_beyond_the_picture"]["example"] == f"{tmp_path}/labels/0.txt: line 6"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.1\n", "line 1: not a label, it has 4 columns: 0 0.5 0.5 0.1"),
        ("cat 0.5 0.5 0.1 0.1\n", "line 1: not a label: cat 0.5 0.5"),
        ("0,0.5,0.5,0.1,0.1\n", "line 1: not a label: 0,0.5"),
        (LINES + "2 0.5 0.5 0.1 0.1\n", "line 6: class 2, but the classes of the data are 0 to 1"),
        ("-1 0.5 0.5 0.1 0.1\n", "line 1: class -1, but"),
        ("0.5 0.5 0.5 0.1 0.1\n", "line 1: class 0.5 is not a whole number"),
        ("nan 0.5 0.5 0.1 0.1\n", "line 1: class nan is not"),
        ("0 nan 0.5 0.1 0.1\n", "line 1: x is nan"),
        ("0 0.5 0.5 inf 0.1\n", "line 1: width is inf"),
        ("0 0.5 0.5 -0.1 0.1\n", "line 1: width -0.1 is negative"),
        ("0 -0.2 0.5 0.1 0.1\n", "line 1: x -0.2 is not between 0 and 1"),
        (LINES + "0 60 40 30 20\n0 60 40 30 20\n", r"line 6: x 60 is not between 0 and 1 \(and 1 more line\)"),
        ("0 60 40 90 40 90 70\n", "line 1: x 75 is not between"),
        ("0 0.5 0.5 0.1 0.1 0.2 0.3 0.4\n", "line 1: not a label, it has 8 columns"),
    ],
)
def test_lines_that_cannot_be_labels_are_named(yolo, text, message):
    with pytest.raises(FileError, match=rf"labels/0\.txt: {message}") as caught:
        yolo(text)
    assert caught.value.hint


def rows_in(layout):
    """The lines of the boxes, written in another layout."""
    for kind, left, top, right, bottom in BOXES:
        x, y, end, low = left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT
        numbers = {
            "corners": (x, y, end, low),
            "corner": (x, y, end - x, low - y),
            "confidence first": (0.9, (x + end) / 2, (y + low) / 2, end - x, low - y),
        }[layout]
        yield f"{kind} {' '.join(map(str, numbers))}\n"


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("corners", "seem to be left, top, right, bottom; expected x and y of the centre"),
        ("corner", "seem to be left, top, width, height; expected"),
        ("confidence first", "seem to be a confidence, x and y of the centre, width, height; expected"),
    ],
)
def test_boxes_in_another_layout_are_refused(yolo, layout, message):
    with pytest.raises(FileError, match=message):
        yolo("".join(rows_in(layout)))


def test_pictures_without_a_label_file_are_counted(yolo, tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("x.png", "y.png"):
        (tmp_path / "images" / name).write_bytes(PNG)
    _, counts, odd = yolo()
    assert counts == {"missing_label_files": 2}
    assert odd["missing_label_files"]["example"] == f"{tmp_path}/images/x.png: {tmp_path}/labels/x.txt not found"
    (tmp_path / "labels" / "0.txt").unlink()
    with pytest.raises(FileError, match=r"none of its 3 pictures has a label file, e\.g\. .*labels/0\.txt"):
        told(tmp_path / "data.yaml")


def test_an_empty_label_file_is_a_picture_without_objects(yolo, tmp_path):
    assert yolo("", count=2)[:2] == ([], {})


@pytest.mark.parametrize(
    ("picture", "labels"),
    [
        ("valid/images/a/1.png", "valid/labels/a/1.txt"),
        ("images/train/images/1.png", "images/train/labels/1.txt"),
        ("images/val/1.png", "labels/val/1.txt"),
        ("images/val/1.png", "images/val/1.txt"),
        ("obj/1.png", "obj/1.txt"),
        ("Images/1.png", "Labels/1.txt"),
    ],
)
def test_where_label_files_are(tmp_path, picture, labels):
    for name, content in {picture: PNG, labels: LINES.encode()}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "data.yaml").write_text(f"val: {picture.split('/')[0]}\nnames: [cat, dog]\n")
    assert len(told(tmp_path / "data.yaml")[0]) == len(BOXES)


def test_labels_lie_where_the_link_leads_or_where_the_pictures_were(tmp_path, yolo):
    yolo()
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "images" / "more").symlink_to(tmp_path / "images")
    (tmp_path / "set" / "data.yaml").write_text("val: images\nnames: [cat, dog]\n")
    assert len(told(tmp_path / "set" / "data.yaml")[0]) == len(BOXES)
    (tmp_path / "images").rename(tmp_path / "moved")
    assert [len(item.labels.xyxy) for item in read(tmp_path / "data.yaml", tmp_path / "moved")] == [len(BOXES)]
    assert len(inside(tmp_path / "moved")) == 1


def test_names_in_a_file_of_their_own(yolo, tmp_path):
    (tmp_path / "coco.names").write_text("cat\ndog\n")
    assert len(yolo(LINES, names="coco.names")[0]) == len(BOXES)


def test_classes_of_one_name_are_one_class(yolo, coco):
    rows, *_ = yolo(LINES.replace("0 ", "2 ", 1), names="[cat, dog, cat]")
    assert {row[0] for row in rows} == {0, 1}
    rows, *_ = yolo(LINES, names="{'1': dog, 0: cat}", nc=2)
    assert [row[0] for row in rows] == [box[0] for box in BOXES]
    rows, *_ = coco(categories=[{"id": 7, "name": "cat"}, {"id": 90, "name": "cat"}])
    assert {row[0] for row in rows} == {0}


@pytest.mark.parametrize(
    ("annotations", "odd"),
    [
        ([annotation(*box) for box in BOXES], {}),
        ([annotation(*box, id=number) for number, box in enumerate(BOXES * 2)], {"duplicate_labels": 5}),
        ([annotation(*box, image_id="5", category_id=str((7, 90)[box[0]]), iscrowd="0") for box in BOXES], {}),
        ([annotation(*box, area=None) for box in BOXES], {}),
        ([annotation(*BOXES[0], image_id=6), *(annotation(*box) for box in BOXES)],
         {"annotations_of_unlisted_images": 1}),
        ([annotation(0, 5, 5, 5, 9), *(annotation(*box) for box in BOXES)], {"empty_boxes": 1}),
        ([{**annotation(*box), "bbox": [str(side) for side in annotation(*box)["bbox"]]} for box in BOXES], {}),
    ],
    ids=["plain", "twice", "text", "no area", "unlisted", "empty", "text boxes"],
)  # fmt: skip
def test_coco_gives_the_boxes_once(coco, annotations, odd):
    rows, counts, _ = coco(annotations)
    assert rows == [tuple(map(float, box)) for box in BOXES]
    assert counts == odd


def test_coco_boxes_from_outlines_and_masks(coco):
    square = [20, 10, 60, 10, 60, 50, 20, 50]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:80, 100:160] = 1
    edges = np.flatnonzero(np.diff(mask.flatten("F"), prepend=0, append=0))
    runs = [int(run) for run in np.diff([0, *edges, mask.size])]
    rows, _, _ = coco(
        [
            {"id": 1, "image_id": 5, "category_id": 7, "segmentation": [square[:6], square]},
            {"id": 2, "image_id": 5, "category_id": 90, "bbox": [],
             "segmentation": {"size": [HEIGHT, WIDTH], "counts": runs}},
        ]
    )  # fmt: skip
    assert rows == [tuple(map(float, box)) for box in BOXES[:2]]


def test_crowds_of_any_kind_of_number(coco, tmp_path):
    coco([annotation(*box, iscrowd=crowd) for box, crowd in zip(BOXES, (0, "1", True, "0", None), strict=True)])
    (item,) = read(tmp_path / "instances.json")
    assert item.labels.crowd.tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [1, 2, 3]}, r"annotation 1: bbox \[1, 2, 3\] has not 4 numbers"),
        ({"bbox": [1, 2, float("nan"), 3]}, "annotation 1: bbox .* is not finite"),
        ({"bbox": [1, 2, -3, 3]}, "annotation 1: bbox .* negative width or height"),
        ({"category_id": 8}, "annotation 1: category_id 8 is not among the categories"),
        ({"bbox": None, "segmentation": "x"}, "annotation 1: its segmentation is neither"),
        ({"bbox": None}, "annotation 1: bbox None has not 4 numbers"),
    ],
)
def test_annotations_that_cannot_be_are_named(coco, change, message):
    with pytest.raises(FileError, match=rf"instances\.json: {message}"):
        coco([{**annotation(*BOXES[0]), **change}])


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(
    ("written", "message"),
    [
        (lambda left, top, right, bottom: (left, top, right, bottom), "seem to be left, top, right, bottom"),
        (lambda left, top, right, bottom: ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top),
         "seem to be x and y of the centre"),
        (lambda left, top, right, bottom: (left / 200, top / 100, (right - left) / 200, (bottom - top) / 100),
         "are between 0 and 1, expected pixels"),
    ],
    ids=["corners", "centre", "fractions"],
)  # fmt: skip
def test_coco_boxes_in_another_layout_are_refused(coco, written, message, sized):
    image = {"id": 5, "file_name": "0.png", **({"width": WIDTH, "height": HEIGHT} if sized else {})}
    with pytest.raises(FileError, match=message):
        coco([{**annotation(*box), "bbox": written(*box[1:])} for box in BOXES], images=[image])


def test_ids_that_stand_for_two_things_are_refused(coco):
    with pytest.raises(FileError, match=r"image id 5 stands for 0\.png and 1\.png"):
        coco(images=[{"id": 5, "file_name": "0.png"}, {"id": 5, "file_name": "1.png"}])
    with pytest.raises(FileError, match="category id '7' stands for cat and dog"):
        coco(categories=[{"id": 7, "name": "cat"}, {"id": "7", "name": "dog"}])


def test_a_picture_under_two_ids_is_one_picture(coco):
    both = [{"id": number, "file_name": "0.png"} for number in (5, 6, 6)]
    halves = [annotation(*box, image_id=5 + number % 2) for number, box in enumerate(BOXES)]
    rows, counts, odd = coco(halves, images=both)
    assert counts == {}
    assert sorted(rows) == sorted(tuple(map(float, box)) for box in BOXES)
    assert "2 pictures listed more than once" in odd["remarks"][0]


def test_pictures_of_another_size_than_the_json_says_are_told(coco):
    _, counts, odd = coco(images=[{"id": 5, "file_name": "0.png", "width": 400, "height": 200}])
    assert counts == {"pictures_of_another_size": 1}
    assert odd["pictures_of_another_size"]["example"].endswith("0.png is 200x100, not 400x200")


def test_tiny_boxes_are_told(coco):
    tiny = [annotation(0, 50, 50, 50.5, 50.5), annotation(*BOXES[0])]
    assert coco(tiny)[1] == {"boxes_below_a_pixel": 1}


def test_results_are_no_labels(tmp_path):
    (tmp_path / "results.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]')
    with pytest.raises(FileError, match=r"results\.json: holds results, expected labels"):
        read(tmp_path / "results.json")
