import numpy as np
from onnx import TensorProto, helper
from qcore_onnx_reference import qcore_backends
from qcore_onnx_reference.backend import ReferenceBackend

import qcore
from qcore.plugin import BackendSpec, Contract, Form, Model, Step, Tensor


def test_the_backend_registers_itself():
    assert [spec.name for spec in qcore_backends()] == ["onnx-reference"]
    assert qcore.plugins.get(BackendSpec, "onnx-reference").factory.endswith("ReferenceBackend")


def test_it_computes_what_onnx_defines():
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    tensor = Tensor("x", "float32", (1, 3))
    contract = Contract("test", (tensor,), (), Step("none"), Step("none"))
    model = Model(Form("onnx", encoding="float"), helper.make_model(graph), contract)
    session = ReferenceBackend().compile(model, options={})
    got = session.run({"x": np.array([[-1.0, 0.0, 2.0]], np.float32)})["y"]
    assert got.tolist() == [[0.0, 0.0, 2.0]]
    assert session.executed_precision == "f32"
