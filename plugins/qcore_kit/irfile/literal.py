"""OpenVINO models taken literally: every FakeQuantize as the float arithmetic that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openvino
from openvino import opset13
from openvino.passes import Manager, Matcher, MatcherPass, WrapType

from qcore_kit.irfile.integers import port_name

CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def unfused(model: Any) -> Any:
    """A copy without FakeQuantize, so that OpenVINO has nothing to make integers of."""
    copy = model.clone()
    for op in copy.get_ordered_ops():
        source = op.input_value(0).get_node() if op.get_type_name() == "Convert" else None
        if source is not None and source.get_type_name() == "FakeQuantize":
            op.output(0).replace(op.input_value(0))  # its integers would be taken for a quantized activation
        elif source is not None and source.get_type_name() == "Constant" and source.get_element_type().is_integral():
            # stored integers: without VNNI, OpenVINO ends with "could not create a primitive descriptor" on some
            values = np.asarray(source.get_data()).astype(op.get_output_element_type(0).to_dtype())
            op.output(0).replace(opset13.constant(values).output(0))
    manager = Manager()
    manager.register_pass(_Unfused())
    manager.run_passes(copy)
    copy.validate_nodes_and_infer_types()
    return copy


class Inner:
    """A model whose tensors can be asked for by `port_name`; nothing is made integers of."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._ports = {port_name(port): port for op in model.get_ordered_ops() for port in op.outputs()}
        self._asked: tuple[list[str], Any] | None = None

    def run(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        """The float tensors of those names, for one inference."""
        if self._asked is None or self._asked[0] != list(names):
            results = [opset13.result(self._ports[name]) for name in names]
            asked = unfused(openvino.Model(results, self._model.get_parameters()))
            self._asked = list(names), openvino.Core().compile_model(asked, "CPU", CONFIG)
        given = self._asked[1](dict(inputs))
        return {name: np.array(given[place], np.float32) for place, name in enumerate(names)}


class _Unfused(MatcherPass):  # type: ignore[misc]  # openvino has no types
    """FakeQuantize(x, il, ih, ol, oh, n) -> round((clamp(x) - il) / (ih - il) (n - 1)) / (n - 1) (oh - ol) + ol."""

    def __init__(self) -> None:
        super().__init__()

        def callback(matcher: Matcher) -> bool:
            node = matcher.get_match_root()
            x, low, high, out_low, out_high = node.input_values()
            steps = np.float32(node.get_attributes()["levels"] - 1)
            inside = opset13.minimum(opset13.maximum(x, low), high)
            scaled = opset13.multiply(opset13.divide(opset13.subtract(inside, low), opset13.subtract(high, low)), steps)
            unit = opset13.divide(opset13.subtract(out_high, out_low), steps)
            made = opset13.add(opset13.multiply(opset13.round(scaled, "half_to_even"), unit), out_low)
            made.set_friendly_name(node.get_friendly_name())
            openvino.utils.replace_node(node, made)
            return True

        self.register_matcher(Matcher(WrapType("opset13.FakeQuantize"), "UnfusedFakeQuantize"), callback)
