"""Rules on the form of scales and zero points: how many, along which axis, of which type, in which opset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx

from qcore_kit.checks import Documented, Hit, Severity, Subject
from qcore_kit.onnxfile.fusing import UNFUSED, is_gemm
from qcore_kit.onnxfile.scale import CHANNELS, Scale, attribute, output_axis
from qcore_kit.onnxfile.view import DEQUANTIZE, View, whole

NEEDED = {"float8": 19, "int16": 21, "uint16": 21, "int4": 21, "uint4": 21, "float4": 23, "int2": 25, "uint2": 25}
"""Beginning of a type's name -> the opset from which on QuantizeLinear has it."""


class ScaleShape(Documented):
    """Scales or zero points that do not fit the tensor: another number, another rank, an axis that it does not have.

    One scale for a tensor is a scalar or a vector of one number; scales for channels are a vector as long as the axis;
    scales for blocks have the tensor's shape, shortened along the axis by `block_size`. Zero points have the shape of
    their scales and the type of the tensor.

    Why: this is no valid ONNX. OpenVINO refuses the file when it reads it, ONNX Runtime when the operation runs, unless
    it has become part of an integer operator that looks less closely: whether the file runs then hangs on what stands
    beside it.

    Fix: write the file again; an axis that was left out is axis 1, which is wrong for the weights of a Conv.
    """

    id = "QDQ007"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q and DQ."""
        view = subject.derived(whole)
        for name, scale in view.pairs.items():
            node = view.nodes[name]
            if scale.values is not None and (view.opset >= CHANNELS or node.domain):
                shape = view.shape(node.input[0]) or view.shape(view.behind(node.input[0]))
                fault = shape_fault(scale, shape) or _points_fault(view, node, scale)
                size = shape[scale.axis] if scale.block and shape and scale.axis is not None else 0
                if not fault and scale.block and size % scale.block and subject.target == "openvino":
                    fault = f"blocks of {scale.block} on an axis of {size} values; OpenVINO wants whole blocks"
                if fault:
                    yield Hit(name, fault)


def shape_fault(scale: Scale, shape: Sequence[int] | None) -> str:
    """What is wrong with the scales of a tensor; the tensor's shape is None where it is not known."""
    assert scale.values is not None  # noqa: S101 - asked where scales are stored
    sizes = scale.values.shape
    if scale.block:
        return _block_fault(scale, sizes, shape)
    if len(sizes) > 1:
        return f"scales of shape {list(sizes)}; a scalar or a vector is expected"
    if scale.axis is None or shape is None:
        return ""
    if not 0 <= scale.axis < len(shape):
        return f"scales on axis {scale.axis} of a tensor of shape {list(shape)}"
    if sizes[0] != shape[scale.axis]:
        return f"{sizes[0]} scales on axis {scale.axis} of a tensor of shape {list(shape)}"
    return ""


def _block_fault(scale: Scale, sizes: Sequence[int], shape: Sequence[int] | None) -> str:
    if shape is None or scale.axis is None:
        return ""
    if not 0 <= scale.axis < len(shape):
        return f"blocks on axis {scale.axis} of a tensor of shape {list(shape)}"
    right = list(shape)
    right[scale.axis] = -(-shape[scale.axis] // scale.block)
    if list(sizes) == right:
        return ""
    return (
        f"scales of shape {list(sizes)} for blocks of {scale.block} on axis {scale.axis} of a tensor of shape "
        f"{list(shape)}; {right} is expected"
    )


def _points_fault(view: View, node: onnx.NodeProto, scale: Scale) -> str:
    """What is wrong with the zero points."""
    if len(node.input) < 3 or not node.input[2] or scale.points is None or scale.values is None:
        return ""
    if scale.points.shape != scale.values.shape and not scale.points.size == scale.values.size == 1:
        return f"zero points of shape {list(scale.points.shape)} beside scales of shape {list(scale.values.shape)}"
    if scale.points.ndim > 1 and not scale.block:
        return f"zero points of shape {list(scale.points.shape)}; a scalar or a vector is expected"
    stored = view.value(node.input[0]) if node.op_type == DEQUANTIZE else None
    if stored is not None and stored.dtype != scale.points.dtype:
        return f"zero points of {scale.points.dtype} beside values of {stored.dtype}"
    return ""


class OldOpset(Documented):
    """Q/DQ of an opset that cannot say what the file needs.

    Scales for each channel exist from opset 13 on, float16 and bfloat16 scales and float8 from 19, 16 and 4 bits from
    21. Microsoft's own QuantizeLinear has 16 bits in any opset.

    Why: ONNX Runtime refuses types that the opset does not have. OpenVINO reads them all, but refuses scales for each
    channel below 13; ONNX Runtime runs those where the operation becomes an integer one, and refuses them elsewhere.

    Fix: export with a newer opset and quantize that; `onnx.version_converter` raises the opset of float files.
    """

    id = "QDQ008"
    severity = "error"
    targets = ("onnxruntime", "openvino")

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q and DQ."""
        view = subject.derived(whole)
        for name, scale in view.pairs.items():
            node = view.nodes[name]
            if node.domain in ("", "ai.onnx"):
                yield from _old(view, subject.target, node, name, scale)


def _old(view: View, target: str, node: onnx.NodeProto, name: str, scale: Scale) -> Iterator[Hit]:
    needed = max((opset for kind, opset in NEEDED.items() if scale.kind.startswith(kind)), default=0)
    halves = scale.values is not None and scale.values.dtype != np.float32 and needed < 19
    what, needed = ("a scale of " + str(scale.values.dtype), 19) if halves else (scale.kind, needed)  # type: ignore[union-attr]
    if view.opset < needed and target == "onnxruntime":
        yield Hit(name, f"{what} needs opset {needed}, the file has {view.opset}")
    if view.opset < CHANNELS and scale.values is not None and scale.values.size > 1:
        stated = target == "openvino" or attribute(node, "axis", None) is not None
        severity: Severity = "error" if stated else "warning"
        yield Hit(name, f"{scale.values.size} scales need opset {CHANNELS}, the file has {view.opset}", severity)


class SummedAxis(Documented):
    """Weights of a MatMul or Gemm with scales along the axis that is summed over.

    The output channels are the last axis of a MatMul's weights, and axis 1 of a Gemm's, or 0 where it has `transB=1`,
    as every `nn.Linear` exports. Weights behind a Transpose are looked at as the operation reads them.

    Why: legal ONNX, and computed wrongly. ONNX Runtime's QLinearMatMul and QGemm take scales for output channels
    (microsoft/onnxruntime#21712): off by a quarter of the largest value where both axes have the same size, refused
    when it runs, or in float, where they have not. OpenVINO 2026.4 is off by as much, even with float inputs; it
    is right where these have several matrices.

    Fix: write the file again, with scales along the output channels.
    """

    id = "QDQ009"
    severity = "error"
    targets = ("onnxruntime", "openvino")

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each MatMul and Gemm whose second input is stored, those of the decode too."""
        view = subject.derived(whole)
        layers = {node.name: node.layer for node in view.graph.nodes}
        for name, node in view.nodes.items():
            if node.op_type not in ("MatMul", "Gemm"):
                continue
            weight, shape = view.weight(node), view.shape(node.input[1])
            if weight is None or weight.axis is None or weight.block or shape is None or len(shape) != 2:
                continue
            right = output_axis(node, 2)
            if weight.axis == right:
                continue
            what = f"{layers.get(name, name)}: {weight}; the output channels are axis {right}"
            if subject.target == "onnxruntime":
                severity, made = _onnxruntime(view, node, weight, square=shape[0] == shape[1])
            else:
                severity, made = None if _several(view, node.input[0]) else "error", "computed wrongly"
            if severity:
                yield Hit(name, f"{what}: {made}", severity)


def _onnxruntime(view: View, node: onnx.NodeProto, weight: Scale, *, square: bool) -> tuple[Severity | None, str]:
    """What ONNX Runtime makes of it."""
    given = view.moved(node.input[0])
    if given is None or given.kind in UNFUSED or weight.kind not in ("int8", "uint8"):
        return None, ""
    gemm = is_gemm(view, node)
    changed = attribute(node, "alpha", 1.0) != 1 or attribute(node, "beta", 1.0) != 1
    if gemm and (not square or (changed and len(node.input) > 2)):
        return "warning", "runs in float"
    return "error", "computed wrongly" if square else "refused when it runs"


def _several(view: View, name: str) -> bool:
    """Whether a tensor surely is no matrix, leading axes of size 1 left out."""
    sizes = view.dims(name)
    return sizes is not None and (len(sizes) == 1 or sum(size is not None and size > 1 for size in sizes[:-1]) > 1)


RULES = (ScaleShape, OldOpset, SummedAxis)
