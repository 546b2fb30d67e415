"""Files without a contract: what they are is said, or told from shapes that only one family has."""

import onnx
import pytest
from onnx import TensorProto, helper

import qcore
from qcore.plugin import FileError, NoRoute, UsageError


@pytest.fixture
def bare(exported, tmp_path):
    """An export without its contract."""
    model = onnx.load(str(exported))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "bare.onnx"))
    return tmp_path / "bare.onnx"


def test_without_the_loader_a_bare_file_is_refused(bare):
    with pytest.raises(FileError, match="the file has no contract"):
        qcore.predictor(bare)


def test_with_it_the_file_finds_what_it_found_before(bare, exported, pictures):
    picture = pictures / "images" / "0000.png"
    names = bare.with_name("names.txt")
    names.write_text("ellipse\nrectangle\ntriangle\nstar\n")
    before = qcore.predictor(exported)(picture)
    after = qcore.recipe(bare, "onnx", names=str(names)).start().predictor()(picture)
    assert after.records() == before.records()


def test_the_same_for_an_openvino_file(bare, exported, pictures):
    openvino = pytest.importorskip("openvino")
    openvino.save_model(openvino.Core().read_model(str(bare)), str(bare.with_suffix(".xml")), compress_to_fp16=False)
    picture = pictures / "images" / "0000.png"
    before = qcore.predictor(exported)(picture)
    base = qcore.recipe(bare.with_suffix(".xml"), "openvino")
    after = base.with_backend("openvino").start().predictor()(picture)
    assert after.xyxy == pytest.approx(before.xyxy, abs=0.01)
    small = base.with_quantizer("nncf", calibration=pictures / "images").with_backend("openvino").start().predictor()
    assert small.executed_precision.startswith("int8")
    assert len(small(picture)) > 0


def test_a_graph_with_pre_and_postprocessing_is_cut(bare, exported, pictures):
    """Scaling put before the raw model and a transposition behind it, both with what belongs to them left out."""
    model = onnx.load(str(bare))
    name, out = model.graph.input[0].name, model.graph.output[0].name
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Mul", ["picture", "factor"], [name], "scaling"))
    model.graph.node.extend(nodes)
    model.graph.node.append(helper.make_node("Transpose", [out], ["turned"], "turning", perm=[0, 2, 1]))
    model.graph.initializer.append(helper.make_tensor("factor", TensorProto.FLOAT, [], [1 / 255]))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 416, 416]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("turned", TensorProto.FLOAT, [1, 9, 10647]))
    onnx.save(model, str(bare))
    picture = pictures / "images" / "0000.png"
    cut = qcore.recipe(bare, "onnx", input=name, output=out).start().predictor()(picture)
    assert cut.xyxy == pytest.approx(qcore.predictor(exported)(picture).xyxy, abs=1e-3)
    with pytest.raises(UsageError, match="the graph has no tensor nowhere"):
        qcore.recipe(bare, "onnx", input="nowhere", output=out).start().predictor()


def test_a_quantized_file_runs_and_is_not_quantized_again(int8, pictures, tmp_path):
    """Its contract taken out, so that its head is recognised."""
    model = onnx.load(str(int8))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "int8.onnx"))
    bare = qcore.recipe(tmp_path / "int8.onnx", "onnx")
    picture = pictures / "images" / "0000.png"
    after = bare.start().predictor()(picture)
    assert after.xyxy.tolist() == qcore.predictor(int8)(picture).xyxy.tolist()
    with pytest.raises(NoRoute):
        bare.with_quantizer("onnxruntime", calibration=pictures / "images").with_backend(
            "onnxruntime"
        ).start().predictor()


def test_a_checkpoint_nobody_takes_is_described(tmp_path):
    import torch

    rows = {"nc": 3, "backbone": [[-1, 1, "Conv", [16, 3, 2]]], "head": [[[0], 1, "Detect", ["nc"]]]}
    torch.save({"family": "yolov8", "config": rows, "state_dict": {}}, tmp_path / "v8.pt")
    with pytest.raises(FileError, match="no loader recognises") as caught:
        qcore.load(tmp_path / "v8.pt")
    assert "family 'yolov8' with the head Detect and the blocks Conv, Detect" in caught.value.message
    assert "yolonas, yolov5, yolov9" in caught.value.message


def test_a_file_in_float16_is_quantized_from_float32(exported, pictures, tmp_path):
    """Every tensor in float16, the input too; its INT8 file finds what that of the float32 file finds."""
    from qcore_plugins.formats.onnx.fp16 import single

    model = onnx.load(str(exported))
    del model.metadata_props[:]
    del model.graph.value_info[:]
    kept = {node.input[2] for node in model.graph.node if node.op_type == "Resize" and len(node.input) > 2}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            values = onnx.numpy_helper.to_array(tensor).astype("float16")
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, str(tmp_path / "half.onnx"))
    base = qcore.recipe(tmp_path / "half.onnx", "onnx")
    loaded = base.start().model("loaded")
    assert loaded.form.precision == "f16"
    assert loaded.contract.inputs[0].dtype == "float16"
    picture = pictures / "images" / "0000.png"
    whole = qcore.predictor(exported)(picture)
    assert base.start().predictor()(picture).xyxy == pytest.approx(whole.xyxy, abs=1.0)
    widened = single(loaded.module)
    assert TensorProto.FLOAT16 not in {tensor.data_type for tensor in widened.graph.initializer}
    small = base.with_quantizer("onnxruntime", calibration=pictures / "images", limit=2).with_backend("onnxruntime")
    small = small.start().model()
    assert small.form.encoding == "qdq"
    assert small.contract.inputs[0].dtype == "float32"
