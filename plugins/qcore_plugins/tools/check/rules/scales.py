"""Rules on scales and zero points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qcore_kit.checks import Documented, Hit, Subject
from qcore_kit.onnxfile.scale import Scale
from qcore_kit.onnxfile.view import DEQUANTIZE, QUANTIZE, View, whole
from qcore_kit.quantization.half import SMALLEST

BELIEVABLE = 4.0
"""How many times a range may be wider than what its tensor can hold."""
ALIKE = 8
"""From this many tensors on, one and the same scale on more than half of them is no coincidence."""


class ComputedScale(Documented):
    """Scale or zero point is computed in the graph instead of stored.

    This is what a dynamic quantizer leaves behind, or an exporter that spells scales out as operations.

    Why: TensorRT builds its integer kernels from stored scales; the builder of tensorrt-rtx 1.7 crashes on a computed
    one (segmentation fault) unless it follows from constants alone. ONNX Runtime and OpenVINO give right results and
    compute the operation in float.

    Fix: calibrate, so that the range is fixed, and write the file again.
    """

    id = "QDQ001"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q and DQ whose second or third input is not stored."""
        view = subject.derived(whole)
        for name, scale in view.pairs.items():
            what = {"scale": scale.values, "zero point": scale.points}
            computed = [word for word, value in what.items() if value is None]
            if computed:
                fixed = all(view.follows_from_constants(given) for given in view.nodes[name].input[1:])
                crashes = subject.target == "tensorrt" and not fixed
                when = "from constants" if fixed else "when the model runs"
                yield Hit(name, f"its {computed[0]} is computed {when}", "error" if crashes else "warning")


class UnusableScale(Documented):
    """Scale is zero, negative, infinite or NaN.

    Why: values are divided by it. tensorrt-rtx refuses zero, negative and NaN; ONNX Runtime and OpenVINO accept them
    and compute something, each something else (measured: OpenVINO 99 % off with a scale of -0.1).

    Fix: calibrate with pictures on which the tensor is not constant; qcore refuses such scales when a table is made.
    """

    id = "QDQ002"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q and DQ with one."""
        for name, values in _stored(subject):
            wrong = values[~(np.isfinite(values) & (values > 0))]
            if wrong.size:
                yield Hit(name, f"scale {wrong.flat[0]:g}" + (f" ({wrong.size} of {values.size})" * (values.size > 1)))


class DenormalScale(Documented):
    """Scale is subnormal (below 2^-14 in float16, 2^-126 in float32).

    Why: such a number is stored with fewer digits, and many processors take it for 0. The values are then off by up to
    half, or all 0.

    Fix: a channel or tensor that small can have a larger scale, its values stay 0; qcore's writer sees to it.
    """

    id = "QDQ003"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q and DQ with one."""
        for name, values in _stored(subject):
            limit = SMALLEST if values.dtype == np.float16 else float(np.finfo(np.float32).tiny)
            small = values[(values > 0) & (values < limit)]
            if small.size:
                yield Hit(name, f"{values.dtype} scale {small.min():.3g}, {small.size} of {values.size}")


class DummyRange(Documented):
    """Scales look uncalibrated, and no calibration set is recorded.

    Looked at are what the picture's scale must be after the contract's preprocessing (0 to 1, mostly), what a sigmoid
    can give (0 to 1), and one scale on most tensors. A file whose contract has the hash of its calibration set is not
    questioned.

    Why: a quantizer without a fixed range is dynamic; its export bakes in the range of whatever was run during the
    export, mostly random numbers or zeros. The model is good before the export and bad after it.

    Fix: calibrate with pictures of the real scene, and keep the hash of the set in the contract.
    """

    id = "QDQ004"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Ranges that do not fit what is known of the tensor."""
        if _calibration(subject).get("sha256"):
            return
        view = subject.derived(whole)
        for name, scale in view.activations.items():
            if not _usable(scale):
                continue
            tensor = view.behind(view.nodes[name].input[0])
            yield from self._range(view, subject, name, tensor, scale)
        common = Counter(_one(scale) for scale in view.activations.values() if _usable(scale)).most_common(1)
        if len(view.activations) >= ALIKE and common and common[0][1] > len(view.activations) / 2:
            value, count = common[0]
            yield Hit("", f"{count} of {len(view.activations)} tensors have the same scale, {value:g}")

    def _range(self, view: View, subject: Subject, name: str, tensor: str, scale: Scale) -> Iterator[Hit]:
        low, high = scale.span
        maker = view.makers.get(tensor)
        largest = None
        if tensor in view.graph.inputs:
            largest = _pixels(subject)
            if largest and high < largest / BELIEVABLE:
                yield Hit(name, f"the input reaches {largest:g}, its range ends at {high:.3g}")
        elif maker is not None and maker.op_type in ("Sigmoid", "Softmax"):
            largest = 1.0
        if largest and max(high, -low) > BELIEVABLE * largest:
            yield Hit(name, f"{tensor} lies within 0..{largest:g}, its range is {low:.3g}..{high:.3g}")


class DifferentSides(Documented):
    """QuantizeLinear and its DequantizeLinear differ in scale or zero point.

    Why: values come back multiplied by the quotient of the two. Runtimes compute just that: the result is wrong, not
    slow.

    Fix: write the file again from its scale table; no quantizer means this.
    """

    id = "QDQ005"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each DQ that reads another Q's integers."""
        view = subject.derived(whole)
        for node in view.nodes.values():
            maker = view.makers.get(node.input[0]) if node.op_type == DEQUANTIZE else None
            if maker is not None and maker.op_type == QUANTIZE:
                one, other = view.scale(maker), view.scale(node)
                computed = one.values is None or other.values is None
                same = maker.input[1:3] == node.input[1:3] if computed else one.equals(other)
                if not same:
                    yield Hit(view.name(node), f"quantized with {one}, dequantized with {other}")


def _stored(subject: Subject) -> Iterator[tuple[str, np.ndarray]]:
    for name, scale in subject.derived(whole).pairs.items():
        if scale.values is not None:
            yield name, scale.values


def _usable(scale: Scale) -> bool:
    if scale.values is None or scale.points is None or not scale.kind.endswith(("int8", "int16")):
        return False
    return bool(np.isfinite(scale.values).all() and (scale.values > 0).all())


def _one(scale: Scale) -> float:
    assert scale.values is not None  # noqa: S101 - only asked where the scale is usable
    return float(scale.values.max())


def _calibration(subject: Subject) -> dict[str, Any]:
    calibration = subject.contract.provenance.get("calibration") if subject.contract else None
    return dict(calibration) if isinstance(calibration, Mapping) else {}


def _pixels(subject: Subject) -> float | None:
    """Largest value of an input picture, as the contract's preprocessing makes it of 8 bits."""
    scale = subject.contract.preprocess.params.get("scale") if subject.contract else None
    return 255 * float(scale) if isinstance(scale, (int, float)) else None


RULES = (ComputedScale, UnusableScale, DenormalScale, DummyRange, DifferentSides)
