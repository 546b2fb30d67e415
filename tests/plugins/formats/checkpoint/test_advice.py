"""Checkpoints that no loader takes: what they are, and what to do with them."""

import re

import pytest
import torch

import qcore
from qcore.plugin import FileError

ROWS = {"nc": 2, "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "C2f", [8]]]}


def ultralytics(modules, head, keys=()):
    body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(3, 8, 3), torch.nn.Identity())
    whole = modules.kind("ultralytics.nn.tasks.DetectionModel", torch.nn.Module)()
    whole.model, whole.yaml = body, {**ROWS, "head": [[[1], 1, head, ["nc"]]]}
    for key in keys:
        body[2].register_buffer(key, torch.zeros(1))
    return {"model": whole}


@pytest.mark.parametrize(
    ("head", "keys", "hint"),
    [
        ("Detect", (), r"yolo export model=model\.pt format=onnx; then qcore quantize model\.onnx --loader onnx"),
        ("Detect", ("one2one_cv2",), r"yolo export model=model\.pt format=onnx end2end=False; then"),
        ("v10Detect", ("one2one_cv2",), r"yolo export model=model\.pt format=onnx end2end=False; then"),
        ("Segment26", (), "the head Segment26 is for segmentation; qcore reads YOLOv5, YOLOv9 and YOLO-NAS"),
        ("Pose", (), "the head Pose is for poses"),
    ],
)
def test_other_networks_of_ultralytics(modules, saved, head, keys, hint):
    with pytest.raises(FileError, match=f"no loader recognises.*the head {head}") as caught:
        qcore.load(saved(ultralytics(modules, head, keys)))
    assert re.search(hint, caught.value.hint)


def test_weights_of_another_network(saved):
    with pytest.raises(FileError, match="no loader recognises") as caught:
        qcore.load(saved({"model": {"model.0.conv.weight": torch.zeros(1), "model.0.bn.weight": torch.zeros(1)}}))
    assert "--loader yolov5 or yolov9 --loader-option config=FILE.yaml" in caught.value.hint


@pytest.mark.filterwarnings("ignore:.*quantize.*")
def test_integers_instead_of_weights(saved):
    weight = torch.quantize_per_tensor(torch.rand(3, 3), 0.1, 0, torch.qint8)
    with pytest.raises(FileError, match="no loader recognises") as caught:
        qcore.load(saved({"state_dict": {"model.0.weight": weight}}))
    assert "already integers" in caught.value.hint


def test_a_compiled_network(saved):
    with pytest.raises(FileError, match=r"compiled form of a network \(torch\.compile\)") as caught:
        qcore.load(saved({"model": torch.compile(torch.nn.Linear(2, 2))}))
    assert "_orig_mod" in caught.value.hint
