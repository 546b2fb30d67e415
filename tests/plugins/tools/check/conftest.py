"""Tiny Q/DQ graphs, built a node at a time."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import qcore
import qcore_plugins.formats.onnx
import qcore_plugins.runtimes.onnxruntime
import qcore_plugins.runtimes.openvino
import qcore_plugins.runtimes.tensorrt
import qcore_plugins.tools.check
from qcore.plugin import hookimpl

FLOAT = onnx.TensorProto.FLOAT


class Graph:
    """Collects nodes and constants; every method that makes a tensor returns its name."""

    def __init__(self, kind=np.int8, point=0, scale=0.02, half=False):
        self.nodes, self.stored = [], {}
        self.kind, self.point, self.size = kind, point, scale
        self.real = np.float16 if half else np.float32
        self.rng = np.random.default_rng(0)

    def store(self, name, value):
        self.stored[name] = np.asarray(value)
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def quantized(self, name, scale=None, point=None, kind=None, suffix="", dq_scale=None, **attributes):
        """Q and DQ behind a tensor."""
        kind, full = kind or self.kind, f"{name}{suffix}"
        size = self.store(f"{full}_scale", np.array(self.size if scale is None else scale, self.real))
        middle = self.store(f"{full}_zero_point", np.array(self.point if point is None else point, kind))
        made = self.node("QuantizeLinear", [name, size, middle], f"{full}_quantized", **attributes)
        if dq_scale is not None:
            size = self.store(f"{full}_dq_scale", np.array(dq_scale, self.real))
        return self.node("DequantizeLinear", [made, size, middle], f"{full}_dequantized", **attributes)

    def weight(self, name, shape, axis=0, kind=np.int8, point=0, scale=0.01, per_channel=True):
        """Integers behind a DQ."""
        count = shape[axis] if per_channel else ()
        stored = [
            self.store(f"{name}.weight_quantized", self.rng.integers(-100, 100, shape).astype(np.int8).astype(kind)),
            self.store(f"{name}.weight_scale", np.full(count, scale, self.real)),
            self.store(f"{name}.weight_zero_point", np.full(count, point, kind)),
        ]
        more = {"axis": axis} if per_channel else {}
        return self.node("DequantizeLinear", stored, f"{name}.weight_dequantized", **more)

    def conv(self, x, name, channels=(8, 8), op="Conv", size=1, weight=None, real=False, bias=None, **attributes):
        """A convolution with int8 weights, or with float ones."""
        taken, made = channels
        shape = (made, taken, size, size) if op == "Conv" else (taken, made, size, size)
        if real:
            values = self.rng.normal(0, 0.3, shape).astype(self.real)
            weight = self.store(f"{name}.weight", values)
        weight = weight or self.weight(name, shape, axis=0 if op == "Conv" else 1)
        return self.node(op, [x, weight, *([bias] if bias else [])], name, **attributes)

    def silu(self, x, quantize_gate=False):
        gate = self.node("Sigmoid", [x], f"{x}_gate")
        return self.node("Mul", [x, self.quantized(gate) if quantize_gate else gate], f"{x}_silu")

    def decode(self, x):
        """A tail that computes: what follows the last convolutions."""
        return self.node("Sigmoid", [x], "out")

    def model(self, shape=(1, 8, 8, 8), opset=20, outputs=("out",), domains=()):
        given = helper.make_tensor_value_info("x", FLOAT, shape)
        graph = helper.make_graph(
            self.nodes,
            "g",
            [given],
            [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.stored.items()],
        )
        sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=10)
        inferred = onnx.shape_inference.infer_shapes(model)
        del model.graph.output[:]
        for value in inferred.graph.output:
            kind = value.type.tensor_type
            sizes = [dim.dim_value or dim.dim_param or 1 for dim in kind.shape.dim] if kind.HasField("shape") else None
            model.graph.output.append(
                helper.make_tensor_value_info(value.name, kind.elem_type or FLOAT, sizes if sizes else [1, 8, 8, 8])
            )
        return model


@pytest.fixture
def graph():
    return Graph


class RulesForTensorRt:
    @hookimpl
    def qcore_linters(self):
        return [spec for spec in qcore_plugins.runtimes.tensorrt.qcore_linters() if spec.name == "tensorrt-onnx"]


@pytest.fixture(scope="session")
def host():
    """This plugin and the formats that it reads, without the parsers of runtimes."""
    made = qcore.Host(entry_points=False)
    runtimes = (qcore_plugins.runtimes.onnxruntime, qcore_plugins.runtimes.openvino)
    for plugin in (qcore_plugins.formats.onnx, *runtimes, qcore_plugins.tools.check):
        made.register(plugin)
    made.register(RulesForTensorRt())
    return made
