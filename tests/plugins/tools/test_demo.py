"""The demo does what it says, on a detector that is what it says."""

import json

import numpy as np
import torch

from qcore.cli import main
from qcore_plugins.tools.demo import shapes


def test_the_checkpoint_is_small_and_plain(checkpoint):
    assert checkpoint.stat().st_size < 2_000_000
    document = torch.load(checkpoint, weights_only=True)
    assert set(document) >= {"state_dict", "config", "names", "stride", "training"}
    assert document["training"]["script"] == "contrib/demo-detector/train.py"


def test_generated_pictures_follow_from_the_seed():
    one, again, other = shapes.scene(3, 5), shapes.scene(3, 5), shapes.scene(4, 5)
    assert np.array_equal(one.picture, again.picture)
    assert np.array_equal(one.xyxy, again.xyxy)
    assert one.picture.shape != other.picture.shape or not np.array_equal(one.picture, other.picture)


def test_labels_lie_inside_their_pictures():
    for index in range(50):
        made = shapes.scene(11, index)
        height, width = made.picture.shape[:2]
        assert (made.xyxy >= 0).all()
        assert (made.xyxy <= (width, height, width, height)).all()
        assert (made.xyxy[:, 2:] > made.xyxy[:, :2]).all()
        assert len(made.xyxy) == len(made.class_id)


def test_the_demo(tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path), "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    document = json.loads(captured.out)
    rows = {(row["quantizer"], row["backend"]): row for row in document["rows"]}
    assert set(rows) == {
        ("float", "onnxruntime"), ("onnxruntime", "onnxruntime"), ("float", "openvino"), ("nncf", "openvino"),
    }  # fmt: skip
    assert rows["float", "onnxruntime"]["AP50"] >= 0.9
    for quantizer, backend in (("onnxruntime", "onnxruntime"), ("nncf", "openvino")):
        row = rows[quantizer, backend]
        assert row["AP_change"] > -0.015
        assert row["executed_precision"].startswith("int8")
        assert row["MB"] < rows["float", backend]["MB"] / 2
        assert row["ms"] > 0
    assert len(document["pictures"]) == len(list((tmp_path / "annotated").iterdir())) == 6
