"""The converter `onnx-openvino`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import openvino
from openvino import opset13
from openvino.passes import Manager, Matcher, MatcherPass, WrapType

from qcore.plugin import Model, Progress


class OnnxToOpenVino:
    """Reads the ONNX graph and makes x * sigmoid(x) one Swish, so that no quantizer gets between the two."""

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The OpenVINO model with the same inputs, outputs and contract."""
        read = openvino.Core().read_model(io.BytesIO(model.module.SerializeToString()))
        whole_silu(read)
        tools = {**dict(model.contract.provenance.get("tools", {})), "openvino": openvino.__version__}
        contract = replace(model.contract, provenance={**model.contract.provenance, "tools": tools})
        return model.evolve(form=replace(model.form, format="openvino"), module=read, contract=contract)


class _SwishFusion(MatcherPass):  # type: ignore[misc]  # openvino has no types
    """Multiply(x, Sigmoid(x)) -> Swish(x)."""

    def __init__(self) -> None:
        super().__init__()
        multiply = WrapType("opset13.Multiply")

        def callback(matcher: Matcher) -> bool:
            root = matcher.get_match_root()
            first, second = root.input_value(0), root.input_value(1)
            for plain, gate in ((first, second), (second, first)):
                node = gate.get_node()
                if node.get_type_name() == "Sigmoid" and node.input_value(0) == plain:
                    swish = opset13.swish(plain, opset13.constant(1.0, plain.get_element_type()))
                    swish.set_friendly_name(root.get_friendly_name())
                    openvino.utils.replace_node(root, swish)
                    return True
            return False

        self.register_matcher(Matcher(multiply, "SwishFusion"), callback)


def whole_silu(model: openvino.Model) -> None:
    """Replace every x * sigmoid(x) by Swish, in place."""
    manager = Manager()
    manager.register_pass(_SwishFusion())
    manager.run_passes(model)
