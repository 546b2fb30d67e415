"""Class maps as files keep them: a number is a number, and what cannot be right is named."""

from collections import OrderedDict

import numpy as np
import pytest

from qcore.plugin import AssumptionWarning, FileError
from qcore_kit.classes.reading import class_names, number
from qcore_kit.classes.text import from_file, parsed

NAMES = [f"name {index}" for index in range(12)]


@pytest.mark.parametrize(
    "value",
    [
        NAMES,
        tuple(NAMES),
        np.array(NAMES),
        np.array(NAMES, dtype=object),
        [np.str_(name) for name in NAMES],
        [name.encode() for name in NAMES],
        dict(enumerate(NAMES)),
        {str(index): name for index, name in enumerate(NAMES)},
        {f" {index} ": name for index, name in enumerate(NAMES)},
        {f"{index:02}": name for index, name in enumerate(NAMES)},
        {np.int64(index): name for index, name in enumerate(NAMES)},
        {np.float32(index): name for index, name in enumerate(NAMES)},
        {float(index): name for index, name in enumerate(NAMES)},
        {index if index % 2 else str(index): name for index, name in enumerate(NAMES)},
        OrderedDict(reversed(list(enumerate(NAMES)))),
        {name: index for index, name in enumerate(NAMES)},
        [{index: name} for index, name in enumerate(NAMES)],
        [(str(index), name) for index, name in enumerate(NAMES)],
        [{"id": index, "name": name} for index, name in enumerate(NAMES)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_names_stand_in_the_order_of_their_numbers(value):
    assert class_names(value, "model.pt", count=12) == NAMES


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({0: "a", 2: "b"}, "class numbers run from 0 to 2, without a name for 1"),
        ({1: "a", 2: "b"}, "class numbers run from 1 to 2, so class 0 has no name; numbers begin with 0"),
        ({-1: "a", 0: "b"}, "class numbers run from -1 to 0, the first is 0"),
        ({0: "a", "0": "b"}, "class 0 has two names, 'a' and 'b'"),
        ({"person": "a", 1: "b"}, "the class names have the key 'person', which is not a number"),
        ({True: "a", 0: "b"}, "the class names have the key True, which is not a number"),
        ({0: "a", 1: None}, "None is not a class name"),
        ("abc", "the class names are a str, not a list or a map"),
        (["a"], "1 class name for 2 classes"),
        (["a", "b", "c"], "3 class names for 2 classes"),
    ],
)
def test_what_cannot_be_right_is_named(value, message):
    with pytest.raises(FileError) as caught:
        class_names(value, "model.pt", count=2, hint="give others")
    assert caught.value.message == f"model.pt: {message}"
    assert caught.value.hint == "give others"


def test_no_names_are_no_error():
    assert class_names(None, "model.pt", count=2) == []


@pytest.mark.parametrize(
    ("value", "message"),
    [(["bus", "car", "bus"], "classes 0 and 2 have the same name, 'bus'"), (["", "car"], "class 0 has an empty name")],
)
def test_odd_names_are_kept_and_told(value, message):
    with pytest.warns(AssumptionWarning, match=message):
        assert class_names(value, "model.pt") == value


def test_numbers():
    assert [number(each) for each in (3, "3", 3.0, np.int8(3), np.array(3), " 03 ", "'3'")] == [3] * 7
    assert [number(each) for each in (True, np.bool_(True), 3.5, "3.5", "x", None, float("nan"), [])] == [None] * 8


@pytest.mark.parametrize(
    "text",
    [
        "{0: 'a', 1: \"b's\"}",
        '{"0": "a", "1": "b\'s"}',
        "['a', \"b's\"]",
        "{np.int64(0): 'a', np.int64(1): np.str_(\"b's\")}",
        "array(['a', \"b's\"], dtype='<U3')",
        "OrderedDict([(0, 'a'), (1, \"b's\")])",
        "defaultdict(<class 'str'>, {})".replace("<class 'str'>, {}", "str, {0: 'a', 1: \"b's\"}"),
        "a\nb's\n",
        "a, b's",
    ],
)
def test_names_in_metadata(text):
    assert class_names(parsed(text), "model.onnx") == ["a", "b's"]


@pytest.mark.parametrize("text", ["{0: 'a', 1: ", "{0: open('x')}", "[__import__('os').getcwd()]"])
def test_metadata_that_is_no_list_runs_nothing(text):
    with pytest.raises(ValueError, match="neither a list nor a map"):
        parsed(text)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("names.txt", "\ufeffa\r\nb c\r\n\r\n"),
        ("data.yaml", "path: .\nnames:\n  '1': b c\n  0: a\n"),
        ("names.yml", "- a\n- b c\n"),
        ("names.json", '{"1": "b c", "0": "a"}'),
        ("instances.json", '{"categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b c"}]}'),
    ],
)
def test_names_from_a_file(tmp_path, file, text):
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    assert from_file(path) == ["a", "b c"]


def test_an_empty_line_between_names_does_not_shift_the_rest(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("a\n\nb\n")
    with pytest.raises(FileError, match="line 2 is empty"):
        from_file(path)
