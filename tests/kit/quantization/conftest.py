"""A small graph with everything that placement has rules for."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT


def small_graph(seed=0):
    """Conv, SiLU, residual add, concat, max pool, upsampling, a last conv, and a decode behind it."""
    rng = np.random.default_rng(seed)
    weights = {"w1": (8, 3, 3, 3), "w2": (8, 8, 1, 1), "w3": (6, 16, 1, 1)}
    constants = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in weights.items()}
    constants |= {f"b{name[1]}": rng.normal(0, 0.1, shape[0]).astype(np.float32) for name, shape in weights.items()}
    constants |= {"sizes": np.array([1, 1, 2, 2], np.float32), "flat": np.array([1, 6, -1], np.int64)}
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        node("Sigmoid", ["c1"], ["g1"], "gate1"),
        node("Mul", ["c1", "g1"], ["s1"], "silu1"),
        node("Conv", ["s1", "w2", "b2"], ["c2"], "conv2"),
        node("Sigmoid", ["c2"], ["g2"], "gate2"),
        node("Mul", ["c2", "g2"], ["s2"], "silu2"),
        node("Add", ["s1", "s2"], ["a"], "add"),
        node("MaxPool", ["a"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", ["p", "", "sizes"], ["u"], "upsample", mode="nearest"),
        node("Concat", ["u", "s2"], ["k"], "concat", axis=1),
        node("Conv", ["k", "w3", "b3"], ["head"], "conv3"),
        node("Reshape", ["head", "flat"], ["r"], "reshape"),
        node("Sigmoid", ["r"], ["out"], "scores"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("out", FLOAT, [1, 6, 256])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture
def small():
    return small_graph()


@pytest.fixture
def another():
    """The same architecture with other weights."""
    return small_graph(1)
