import json

import pytest

from qcore.plugin import Contract, FileError

EXAMPLE = {
    "contract": "1.0",
    "task": "detection",
    "inputs": [{"name": "images", "dtype": "float32", "shape": ["batch", 3, 64, 96], "layout": "NCHW"}],
    "preprocess": {"component": "letterbox", "params": {"pad_value": 114}},
    "outputs": [
        {"name": "o", "dtype": "float32", "shape": [1, 3, 2, 3, 7], "stage": "raw", "stride": 32, "anchors": [1, 2]}
    ],
    "postprocess": {"component": "yolo", "params": {"iou": 0.45}},
    "classes": ["a", "b"],
    "provenance": {"family": "mynet"},
    "extensions": {"other": {"kept": [1, 2]}},
}


def test_a_contract_survives_reading_and_writing() -> None:
    assert Contract.from_json(json.dumps(EXAMPLE)).to_dict() == EXAMPLE


def test_fields_of_a_later_minor_version_are_kept() -> None:
    step = {**EXAMPLE["preprocess"], "later": 1}
    later = {**EXAMPLE, "contract": "1.7", "novelty": {"x": 1}, "preprocess": step}
    assert Contract.from_json(json.dumps(later)).to_dict() == later


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "not an object"),
        (json.dumps({**EXAMPLE, "contract": "2.0"}), "reads 1.x"),
        (json.dumps({key: value for key, value in EXAMPLE.items() if key != "outputs"}), "outputs"),
        (json.dumps({**EXAMPLE, "inputs": 3}), "contract field inputs: expected array, got int"),
        (json.dumps({**EXAMPLE, "task": None}), "contract field task: expected str, got null"),
        (json.dumps({**EXAMPLE, "preprocess": {"params": {}}}), "field preprocess: object missing required field comp"),
        (json.dumps({**EXAMPLE, "protocols": {"a": 1}}), r"contract field protocols\[...\]: expected object, got int"),
        (
            json.dumps({**EXAMPLE, "outputs": [{"name": "o", "dtype": "f", "shape": [1 << 40]}]}),
            r"outputs\[0\]: shape is",
        ),
        (
            json.dumps({**EXAMPLE, "outputs": [{"name": "o", "dtype": "f", "shape": [1], "batch": 4}]}),
            "batch is 4, not",
        ),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_contract_that_cannot_be_read_says_why(text: str, words: str) -> None:
    with pytest.raises(FileError, match=words) as caught:
        Contract.from_json(text, source="model.onnx")
    assert caught.value.message.startswith("model.onnx")
