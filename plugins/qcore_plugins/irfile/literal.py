"""OpenVINO models taken literally: every FakeQuantize as the float arithmetic that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openvino
from openvino import opset13
from openvino.passes import Manager, Matcher, MatcherPass, WrapType

from qcore_plugins.irfile.integers import port_name

CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def unfused(model: Any) -> Any:
    """A copy without FakeQuantize, so that OpenVINO has nothing to make integers of."""
    copy = model.clone()
    for op in copy.get_ordered_ops():  # integers behind a FakeQuantize would be taken for a quantized activation
        if op.get_type_name() == "Convert" and op.input_value(0).get_node().get_type_name() == "FakeQuantize":
            op.output(0).replace(op.input_value(0))
    manager = Manager()
    manager.register_pass(_Unfused())
    manager.run_passes(copy)
    copy.validate_nodes_and_infer_types()
    return copy


def inner(model: Any, names: Sequence[str]) -> Any:
    """A function from inputs by name to the tensors of some ports, computed literally.

    Args:
        model: As it is in the file.
        names: As `port_name` gives them.
    """
    ports = {port_name(port): port for op in model.get_ordered_ops() for port in op.outputs()}
    asked = openvino.Model([opset13.result(ports[name]) for name in names], model.get_parameters())
    compiled = openvino.Core().compile_model(unfused(asked), "CPU", CONFIG)

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = compiled(dict(inputs))
        return {name: np.array(given[place], np.float32) for place, name in enumerate(names)}

    return run


class _Unfused(MatcherPass):
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
