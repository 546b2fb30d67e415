"""Windows of pools: whether they reach into the padding, or beyond it."""

from __future__ import annotations

from typing import NamedTuple

import onnx

from qcore_kit.onnxfile.scale import attribute
from qcore_kit.onnxfile.view import View


class Window(NamedTuple):
    """How a pool moves along one axis.

    Attributes:
        size: Of the kernel, dilation counted.
        step: Its stride.
        begin: Padding before the first value.
        end: Padding behind the last.
        given: Values; None where that is not known.
    """

    size: int
    step: int
    begin: int
    end: int
    given: int | None


def windows(view: View, node: onnx.NodeProto) -> list[Window]:
    """Those of a pool, one for each spatial axis."""
    kernel = _numbers(node, "kernel_shape", 0, 0)
    count = len(kernel)
    steps, spread = _numbers(node, "strides", count, 1), _numbers(node, "dilations", count, 1)
    pads = _numbers(node, "pads", 2 * count, 0)
    shape = view.shape(node.input[0])
    given: list[int | None] = [None] * count if shape is None else list(shape[2:])
    sizes = [(size - 1) * gap + 1 for size, gap in zip(kernel, spread, strict=True)]
    made = [Window(*one) for one in zip(sizes, steps, pads[:count], pads[count:], given, strict=True)]
    if bytes(attribute(node, "auto_pad", b"")).startswith(b"SAME"):
        return [_same(one) for one in made]
    return made


def padded(view: View, node: onnx.NodeProto) -> bool:
    """Whether some window holds padding."""
    return any(one.begin or one.end for one in windows(view, node))


def fits(view: View, node: onnx.NodeProto) -> bool:
    """Whether the windows end where the padded input ends; False where its size is not known."""
    return all(
        one.given is not None and (one.given + one.begin + one.end - one.size) % one.step == 0
        for one in windows(view, node)
    )


def _same(one: Window) -> Window:
    """With the padding of SAME_UPPER and SAME_LOWER, of which one pads before what the other pads behind."""
    if one.given is None:
        return one._replace(end=one.size - 1)
    total = max((-(-one.given // one.step) - 1) * one.step + one.size - one.given, 0)
    return one._replace(begin=total // 2, end=total - total // 2)


def _numbers(node: onnx.NodeProto, name: str, count: int, otherwise: int) -> list[int]:
    result: list[int] = list(attribute(node, name, None) or [otherwise] * count)
    return result
