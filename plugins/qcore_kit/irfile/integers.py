"""The layers of an OpenVINO file that OpenVINO computes in integers, and those that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from qcore_kit.quantization.integers import IntegerLayer
from qcore_kit.quantization.products import Products

OPERATIONS = {
    "Convolution": "Conv",
    "GroupConvolution": "Conv",
    "ConvolutionBackpropData": "ConvTranspose",
    "GroupConvolutionBackpropData": "ConvTranspose",
    "MatMul": "MatMul",
}
"""Operations with weights -> ONNX's words."""
DEQUANTIZING = {"Convert", "Multiply", "Subtract"}
"""What stands between integers, or a FakeQuantize, and the operation that reads them."""
MOVING = {
    "Concat", "Gather", "Interpolate", "MaxPool", "Pad", "Reshape", "Slice", "Split", "Squeeze", "StridedSlice",
    "Transpose", "Unsqueeze", "VariadicSplit",
}  # fmt: skip
"""Operations whose results have the scale of what they read."""
LEVELS = (255, 256)
"""Of a FakeQuantize to 8 bits."""


class Weight(NamedTuple):
    """The weight of an operation.

    Attributes:
        values: int8, in the file's own layout; None where the file does not quantize it to int8.
        steps: Its scales, as they are multiplied with the values.
        stored: Whether the integers themselves are in the file.
    """

    values: np.ndarray | None
    steps: np.ndarray | None
    stored: bool


def weighted(model: Any) -> Iterator[Any]:
    """The operations with constant weights, in order."""
    for op in model.get_ordered_ops():
        if op.get_type_name() in OPERATIONS and constant(op.input_value(1)) is not None:
            yield op


def integer_layers(model: Any) -> list[IntegerLayer]:
    """Those whose input is quantized to 8 bits and whose weights are int8."""
    return list(_layers(model))


def _layers(model: Any) -> Iterator[IntegerLayer]:
    names = {op.get_friendly_name() for op in weighted(model)}
    for op in weighted(model):
        given, weight = rounding(op.input_value(0)), weight_of(op)
        if given is None or weight.values is None or weight.steps is None:
            continue
        products = _products(op, weight.values)
        if products is None:
            continue
        low, high = given
        scale = (high - low) / 255
        yield IntegerLayer(
            layer_name(op),
            products,
            port_name(op.input_value(0)),
            port_name(op.output(0)),
            scale,
            round(-low / scale),
            _channels(products, weight.steps),
            first=not _reaches(op.input_value(0), names),
        )


def port_name(value: Any) -> str:
    """A name for an output of an operation, unique in the model."""
    return f"{value.get_node().get_friendly_name()}:{value.get_index()}"


def layer_name(op: Any) -> str:
    """What a person calls an operation: the module that holds its weight, where that still has its name."""
    node = op.input_value(1).get_node()
    while node.inputs():
        node = node.input_value(0).get_node()
    module, weight, _ = node.get_friendly_name().partition(".weight")
    result: str = module if weight else op.get_friendly_name().removesuffix("/WithoutBiases")
    return result


def rounding(value: Any) -> tuple[float, float] | None:
    """Lowest and highest value of the 8-bit FakeQuantize behind an output, where one range serves all it reads."""
    node = value.get_node()
    kind = node.get_type_name()
    if kind == "FakeQuantize":
        ends = [constant(node.input_value(place)) for place in (1, 2)]
        if node.get_attributes()["levels"] != LEVELS[1] or any(end is None or end.size != 1 for end in ends):
            return None
        low, high = (float(end.flat[0]) for end in ends if end is not None)
        return (low, high) if low <= 0 <= high and low < high else None
    if kind == "Concat":
        roundings = {rounding(part) for part in node.input_values()}
        return roundings.pop() if len(roundings) == 1 else None
    return rounding(node.input_value(0)) if kind in DEQUANTIZING | MOVING else None


def weight_of(op: Any) -> Weight:
    """The weight of an operation, looked for behind what dequantizes it."""
    value, steps, shifted = op.input_value(1), np.ones(1), False
    while (node := value.get_node()).get_type_name() in DEQUANTIZING | {"Reshape"}:
        if node.get_type_name() == "Multiply":
            factor = constant(node.input_value(1))
            steps = steps if factor is None else steps * factor
        if node.get_type_name() == "Subtract":
            point = constant(node.input_value(1))
            shifted = shifted or point is None or bool(np.any(point != 0))
        value = node.input_value(0)
    if node.get_type_name() == "FakeQuantize":
        return _rounded(node, steps)
    stored = constant(value)
    if stored is None or stored.dtype != np.int8 or shifted:
        return Weight(None, None, stored is not None and stored.dtype.kind in "iu")
    return Weight(_shaped(stored, op), steps, stored=True)


def _rounded(node: Any, steps: np.ndarray) -> Weight:
    """Float weights behind a FakeQuantize, as OpenVINO makes integers of them when it compiles."""
    values, *ends = (constant(value) for value in node.input_values())
    levels = node.get_attributes()["levels"]
    if values is None or any(end is None for end in ends) or levels not in LEVELS:
        return Weight(None, None, stored=False)
    low, high, out_low, out_high = (np.asarray(end, np.float64) for end in ends)
    unit = (out_high - out_low) / (levels - 1)
    if values.dtype == np.int8 or not np.all(high > low) or not np.all(unit > 0):
        return Weight(values if values.dtype == np.int8 else None, unit * steps, stored=values.dtype == np.int8)
    places = np.rint((np.clip(values, low, high) - low) / (high - low) * (levels - 1))
    return Weight(np.clip(places + np.rint(out_low / unit), -128, 127).astype(np.int8), unit * steps, stored=False)


def _shaped(values: np.ndarray, op: Any) -> np.ndarray:
    """Integers in the shape that the operation reads, which a Reshape may have changed."""
    shape = op.input_value(1).get_partial_shape()
    return values.reshape(tuple(shape.to_shape())) if shape.is_static else values


def constant(value: Any) -> np.ndarray | None:
    """The value of an output that is stored, looked for behind conversions; None where it is computed."""
    node = value.get_node()
    kind = node.get_type_name()
    if kind == "Constant":
        return np.asarray(node.get_data())
    if kind in ("Convert", "FakeQuantize", "Multiply", "Subtract"):
        return constant(node.input_value(0))
    if kind in ("Reshape", "Unsqueeze", "Squeeze", "Transpose"):
        found = constant(node.input_value(0))
        shape = value.get_partial_shape()
        return found.reshape(tuple(shape.to_shape())) if found is not None and shape.is_static else found
    return None


def _products(op: Any, weight: np.ndarray) -> Products | None:
    """The operation in ONNX's words."""
    kind, attributes = op.get_type_name(), op.get_attributes()
    if kind == "MatMul":
        if weight.ndim != 2:
            return None
        return Products.of("MatMul", weight.T if attributes.get("transpose_b") else weight, {})
    group = 1
    if kind.startswith("Group"):
        group = weight.shape[0]
        weight = weight.reshape(-1, *weight.shape[2:])
    return Products.of(
        OPERATIONS[kind],
        weight,
        {
            "group": group,
            "strides": tuple(attributes["strides"]),
            "dilations": tuple(attributes["dilations"]),
            "pads": (*attributes["pads_begin"], *attributes["pads_end"]),
            "auto_pad": _auto_pad(str(attributes.get("auto_pad", "explicit"))),
            "output_padding": tuple(attributes.get("output_padding", ())),
        },
    )


def _auto_pad(word: str) -> str:
    return {"same_upper": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}.get(word.lower(), "NOTSET")


def _channels(products: Products, steps: np.ndarray) -> np.ndarray:
    """Scales as one number, or as one for each output channel."""
    flat = steps.reshape(-1).astype(np.float64)
    count = products.rows.shape[0] * products.rows.shape[1]
    return flat if flat.size in (1, count) else flat[:1]


def _reaches(value: Any, names: set[str]) -> bool:
    """Whether one of the operations of those names lies before an output."""
    waiting, seen = [value.get_node()], set()
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if name in names:
            return True
        if name not in seen:
            seen.add(name)
            waiting += [given.get_node() for given in node.input_values()]
    return False
