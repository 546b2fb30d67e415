"""What files say of themselves is used: names, sizes, pixels, thresholds; another task is refused by its name."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import qcore
from qcore.plugin import AssumptionWarning, FileError, UsageError
from qcore_kit.detectors.metadata import of_model_info, of_texts
from qcore_plugins.commands.attaching import attach

sys.path.insert(0, str(Path(__file__).parent))

from nets import Net, end_to_end, joined

ULTRALYTICS = {"names": "{'0': 'cat', '10': 'x', '2': 'dog', '1': 'cow'}", "stride": "32", "task": "detect"}
MODEL_API = {
    "labels": "traffic_light dog cow",
    "pad_value": "0",
    "scale_values": "255",
    "reverse_input_channels": "NO",
    "resize_type": "fit_to_window",
    "iou_threshold": "0.6",
}


def dynamic(model):
    """The same graph with open sides and batch."""
    for value in (*model.graph.input, *model.graph.output):
        for place, dim in enumerate(value.type.tensor_type.shape.dim):
            if place != 1:
                dim.dim_param = f"side{place}"
    del model.graph.value_info[:]
    return model


def test_an_export_of_ultralytics_needs_no_loader(tmp_path):
    net, out = joined()
    texts = ULTRALYTICS | {"names": "{'0': 'cat', '2': \"driver's seat\", '1': 'cow'}", "imgsz": "[64, 64]"}
    onnx.save(net.model(out, **texts), tmp_path / "net.onnx")
    with pytest.warns(AssumptionWarning, match="the ultralytics package"):
        contract = qcore.load(tmp_path / "net.onnx").contract
    assert contract.classes == ("cat", "cow", "driver's seat")
    assert contract.provenance["family"] == "yolov9"


@pytest.mark.parametrize(
    ("task", "name"),
    [("segment", "instance segmentation"), ("pose", "pose"), ("obb", "oriented"), ("classify", "image")],
)
def test_another_task_is_refused_by_its_name(task, name, tmp_path):
    net, out = joined()
    onnx.save(net.model(out, **ULTRALYTICS | {"task": task}), tmp_path / "net.onnx")
    with pytest.raises(FileError, match=f"made for {name}.*task {task}"):
        qcore.load(tmp_path / "net.onnx")


def test_a_dynamic_file_runs_at_the_size_that_it_was_exported_for(tmp_path):
    net, out = joined()
    onnx.save(dynamic(net.model(out, imgsz="[64, 64]")), tmp_path / "net.onnx")
    with pytest.warns(AssumptionWarning):
        contract = qcore.load(tmp_path / "net.onnx", loader="onnx").contract
    assert contract.inputs[0].shape == (1, 3, 64, 64)
    assert contract.outputs[0].shape == (1, 7, 84)
    onnx.save(dynamic(net.model(out)), tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="no fixed size"):
        qcore.load(tmp_path / "net.onnx", loader="onnx")


def test_the_names_say_how_many_classes_an_end_to_end_head_has(tmp_path):
    net, out = end_to_end()
    onnx.save(net.model(out, names="['a', 'b']"), tmp_path / "net.onnx")
    with pytest.raises(FileError, match="2 class names for 3 classes"):
        qcore.load(tmp_path / "net.onnx", loader="onnx")


def test_names_of_paddle_are_read():
    assert of_texts({"character": "text\ntable\nfigure"}).names == ("text", "table", "figure")


def test_the_settings_of_model_api_are_used():
    said = of_model_info(MODEL_API)
    assert said.names == ("traffic_light", "dog", "cow")
    expected = {"pad": "bottom-right", "pad_value": 0, "scale": pytest.approx(1 / 255), "channels": "BGR"}
    assert said.preprocess == expected
    assert said.postprocess == {"iou": 0.6}
    assert said.complete
    assert of_texts({f"model_info {key}": value for key, value in MODEL_API.items()}) == said


@pytest.mark.parametrize(
    "setting",
    [
        {"resize_type": "standard"},
        {"mean_values": "123 116 103"},
        {"scale_values": "58 57 57"},
        {"task_type": "rotated"},
    ],
)
def test_what_the_letterbox_cannot_do_is_refused(setting):
    with pytest.raises(FileError):
        of_model_info(MODEL_API | setting)


def test_an_openvino_file_says_the_same(tmp_path):
    openvino = pytest.importorskip("openvino")
    net, out = joined()
    onnx.save(net.model(out), tmp_path / "net.onnx")
    model = openvino.Core().read_model(tmp_path / "net.onnx")
    for key, value in MODEL_API.items():
        model.set_rt_info(value, ["model_info", key])
    openvino.save_model(model, tmp_path / "net.xml", compress_to_fp16=False)
    with pytest.warns(AssumptionWarning, match="Model API"):
        contract = qcore.load(tmp_path / "net.xml").contract
    assert contract.classes == ("traffic_light", "dog", "cow")
    assert contract.preprocess.params["channels"] == "BGR"
    assert contract.postprocess.params["iou"] == 0.6


def test_an_openvino_file_keeps_the_metadata_of_the_onnx_file(tmp_path):
    openvino = pytest.importorskip("openvino")
    net, out = end_to_end()
    names = "{0: 'cat', 1: 'cow', 2: 'dog'}"
    onnx.save(net.model(out, **ULTRALYTICS | {"names": names}), tmp_path / "net.onnx")
    openvino.save_model(openvino.Core().read_model(tmp_path / "net.onnx"), tmp_path / "net.xml", compress_to_fp16=False)
    with pytest.warns(AssumptionWarning):
        contract = qcore.load(tmp_path / "net.xml").contract
    assert contract.classes == ("cat", "cow", "dog")
    assert contract.provenance["family"] == "yolov10"
    assert dict(contract.outputs[0].attributes) == {"classes": 3}


def test_attach_takes_the_names_and_the_head_from_the_file(tmp_path):
    net, out = joined(corners=True)
    names = "{0: 'cat', 1: 'cow', 2: 'dog'}"
    onnx.save(net.model(out, **ULTRALYTICS | {"names": names}), tmp_path / "net.onnx")
    with pytest.warns(AssumptionWarning):
        attach(qcore.plugins, tmp_path / "net.onnx", tmp_path / "out")
    contract = qcore.load(tmp_path / "out" / "net.onnx").contract
    assert contract.classes == ("cat", "cow", "dog")
    assert contract.outputs[0].meaning == "corners-classes"
    with pytest.raises(FileError, match="not those of yolov5"):
        attach(qcore.plugins, tmp_path / "net.onnx", tmp_path / "out", family="yolov5")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_pixels_come_in_the_layout_and_the_type_of_the_input(channels_last, dtype, tmp_path):
    """The same weights behind another input find the same."""
    picture = np.random.default_rng(3).integers(0, 256, (50, 64, 3), np.uint8)
    results = []
    for net in (Net(), Net(channels_last=channels_last, dtype=dtype)):
        if dtype == np.float16 and net.input.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16:
            nodes, net.nodes = net.nodes, []
            net.picture = net.op("Cast", "images", to=1)
            net.nodes += nodes
            if channels_last:
                net.nodes[1].input[0] = net.picture
                net.picture = net.nodes[1].output[0]
        _, out = joined(net=net)
        onnx.save(net.model(out), tmp_path / "net.onnx")
        recipe = qcore.recipe(tmp_path / "net.onnx", "onnx").with_parameters(postprocess={"confidence": 0.5})
        run = recipe.start()
        with pytest.warns(AssumptionWarning):
            predictor = run.predictor()
        results.append(predictor(picture))
    tensor = run.contract().inputs[0]
    assert (tensor.layout, tensor.dtype) == ("NHWC" if channels_last else "NCHW", np.dtype(dtype).name)
    assert len(results[0]) > 0
    assert results[1].xyxy == pytest.approx(results[0].xyxy, abs=0.2 if dtype == np.float16 else 1e-2)


def test_weights_behind_a_transpose_are_constants_of_an_openvino_model(tmp_path):
    """Else a quantizer says yes, and the runtime computes in float."""
    openvino = pytest.importorskip("openvino")
    net, out = joined()
    turned = [index for index, node in enumerate(net.nodes) if node.op_type == "Conv"]
    stored = {tensor.name: place for place, tensor in enumerate(net.stored)}
    for index in turned[::-1]:
        place = stored[net.nodes[index].input[1]]
        weight = onnx.numpy_helper.to_array(net.stored[place])
        net.stored[place] = onnx.numpy_helper.from_array(
            np.ascontiguousarray(weight.transpose(2, 3, 1, 0)), f"turned{index}"
        )
        net.nodes.insert(
            index,
            onnx.helper.make_node("Transpose", [f"turned{index}"], [net.nodes[index].input[1]], perm=[3, 2, 0, 1]),
        )
    onnx.save(net.model(out), tmp_path / "net.onnx")
    model = openvino.Core().read_model(tmp_path / "net.onnx")
    openvino.save_model(model, tmp_path / "net.xml", compress_to_fp16=False)
    with pytest.warns(AssumptionWarning):
        loaded = qcore.load(tmp_path / "net.xml", loader="openvino")
    convolutions = [op for op in loaded.module.get_ops() if op.get_type_name() == "Convolution"]
    assert len(convolutions) == 6
    assert {op.input_value(1).get_node().get_type_name() for op in convolutions} == {"Constant"}
