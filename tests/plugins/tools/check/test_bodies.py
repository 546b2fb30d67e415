"""What lies inside If, Loop and functions is looked at as if it lay outside."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from qcore_kit.onnxfile.bodies import flattened
from qcore_plugins.tools.check import checking

FLOAT, INT64, BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def branch(name, op, **attributes):
    """A body with names that the other branch has too."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dq"),
        helper.make_node(op, ["d"], ["y"], "last", **attributes),
    ]
    stored = [numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.uint8(30), "z")]
    return helper.make_graph(nodes, name, [], [value("y")], stored)


def model(nodes, stored=(), functions=(), output="out"):
    graph = helper.make_graph(nodes, "g", [value("x", FLOAT, [1, 4, 8, 8])], [value(output)], list(stored))
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1), helper.make_opsetid("TRT", 1)]
    return helper.make_model(graph, opset_imports=sets, functions=list(functions), ir_version=8)


def chosen(then, other):
    node = helper.make_node("If", ["yes"], ["out"], "choice", then_branch=then, else_branch=other)
    return model([node], [numpy_helper.from_array(np.array(True), "yes")])


def repeated(body, output):
    """A Loop around a body that hands x on."""
    names = [value("turn", INT64, []), value("goes", BOOL, []), value("carried")]
    nodes = [*body, helper.make_node("Identity", ["goes"], ["still"], "still")]
    graph = helper.make_graph(nodes, "body", names, [value("still", BOOL, []), value(output)])
    stored = [numpy_helper.from_array(np.array(2), "count"), numpy_helper.from_array(np.array(True), "yes")]
    return model([helper.make_node("Loop", ["count", "yes", "x"], ["out"], "loop", body=graph)], stored)


@pytest.fixture
def found(host, tmp_path):
    def ask(proto, target):
        onnx.save(proto, tmp_path / "model.onnx")
        return checking.check(tmp_path / "model.onnx", target, plugins=host).findings

    return ask


POOL = {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}


def test_both_branches_are_looked_at(found):
    proto = chosen(branch("then", "AveragePool", **POOL), branch("else", "AveragePool", **POOL))
    assert {one.where for one in found(proto, "openvino") if one.rule == "OV005"} == {"last", "last_2"}
    proto = chosen(branch("then", "Relu"), branch("else", "AveragePool", **POOL))
    assert len([one for one in found(proto, "openvino") if one.rule == "OV005"]) == 1
    proto = chosen(branch("then", "Relu"), branch("else", "Relu"))
    assert not [one for one in found(proto, "openvino") if one.severity == "error"]


def test_names_of_two_branches_are_kept_apart():
    flat = flattened(chosen(branch("then", "Relu"), branch("else", "Relu")))
    made = [name for node in flat.graph.node for name in node.output]
    assert len(set(made)) == len(made)
    assert len({tensor.name for tensor in flat.graph.initializer}) == 5
    (choice,) = [node for node in flat.graph.node if node.op_type == "If"]
    assert list(choice.input) == ["yes", "y", "y_2"]
    assert not choice.attribute


def test_a_loop_and_what_is_nested_in_it(found):
    inner = helper.make_node("EfficientNMS_TRT", ["carried"], ["kept"], "suppress", domain="TRT")
    assert [one.where for one in found(repeated([inner], "kept"), "openvino") if one.rule == "OV002"] == ["suppress"]
    then, other = (branch(name, "AveragePool", **POOL) for name in ("then", "else"))
    nested = helper.make_node("If", ["goes"], ["picked"], "choice", then_branch=then, else_branch=other)
    assert len([one for one in found(repeated([nested], "picked"), "openvino") if one.rule == "OV005"]) == 2


def test_a_function_is_looked_into_and_unknown_to_openvino(found):
    nodes = [helper.make_node("EfficientNMS_TRT", ["a"], ["b"], "inside", domain="TRT")]
    function = helper.make_function("own", "Mine", ["a"], ["b"], nodes, [helper.make_opsetid("TRT", 1)])
    proto = model([helper.make_node("Mine", ["x"], ["out"], "call", domain="own")], functions=[function])
    assert len([one for one in found(proto, "tensorrt") if one.rule == "TRT006"]) == 1
    assert "call" in {one.where for one in found(proto, "openvino") if one.rule == "OV002"}


def test_a_graph_without_bodies_is_left_as_it_is():
    proto = model([helper.make_node("Relu", ["x"], ["out"])])
    assert flattened(proto) is proto
