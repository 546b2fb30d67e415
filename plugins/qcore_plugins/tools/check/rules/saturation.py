"""The rule on sums of int8 products, which CPUs without VNNI add in 16 bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from qcore_kit import machine
from qcore_kit.checks import AGAIN, Documented, Hit, Severity, Subject
from qcore_kit.quantization.integers import LOSSY, WRONG, IntegerLayer, losses

NAMED = 3
"""Layers that are named in one line."""


class SaturatingSums(Documented):
    """Weights use the full int8 range, which saturates on CPUs without VNNI.

    Counted are the layers in which two neighbouring products of 255 with weights of one sign can do so. It is a warning
    where that is likely: in the first layer, whose input has white pixels, and where zero points of activations lie
    near 128, so that what a SiLU or a ReLU gives is large everywhere. With `--data`, the sums are computed as such a
    CPU does and exactly; layers below 40 dB are named, and below 20 dB they are errors. `--cpu avx2` tells this of such
    a CPU on any machine, `--cpu vnni` tells nothing. Otherwise the CPU at hand decides: with VNNI all of it is
    information, for the file may go elsewhere.

    Why: without VNNI or AMX (Intel Core before the 10th and 11th generation, Xeons before Cascade Lake, AMD before
    Zen 4) a CPU adds products of uint8 and int8 in pairs in 16 bits, and those saturate. YOLOv5n has AP .242 on ONNX
    Runtime there, not .297, for white pixels in the first layer alone, and .102 on OpenVINO where zero points are 128.

    Fix: keep the weights of those layers within +-64, which `-q saturation=selective` (the default) does and
    `-q saturation=everywhere` proves; write asymmetric activations. A file of another tool can run exactly, but slower
    than float, on ONNX Runtime: `--backend-option x64quantprecision=true`.
    """

    id = "QDQ006"
    severity = "warning"
    targets = ("onnxruntime", "openvino")
    hint = f"{AGAIN} -q saturation=selective"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Layers that lose, as far as that can be told."""
        if subject.cpu == "vnni":
            return
        layers = layers_of(subject)
        able = [layer for layer in layers if layer.can_saturate(subject.target)]
        if not able:
            return
        there = subject.cpu if machine.saturates(subject.cpu) else None
        if subject.samples:
            yield from _measured(subject, able, len(layers), there is not None)
        else:
            yield from _likely(able, len(layers), "warning" if there else "info")


def layers_of(subject: Subject) -> list[IntegerLayer]:
    """The layers of a file that its target computes in integers."""
    if subject.format == "openvino":
        from qcore_kit.irfile.integers import integer_layers as of_ir

        return subject.derived(of_ir)
    if subject.format != "onnx":
        return []
    from qcore_kit.onnxfile.integers import integer_layers
    from qcore_kit.onnxfile.view import whole

    return integer_layers(subject.derived(whole), subject.target)


def _likely(able: Sequence[IntegerLayer], count: int, severity: Severity) -> Iterator[Hit]:
    """What weights and zero points alone tell."""
    for layer in able:
        if layer.first:
            yield Hit(layer.layer, "its sums saturate where pixels are white", severity)
    near = [layer for layer in able if layer.near_middle and not layer.first]
    if near:
        text = f"{len(near)} of {count} layers read values with a zero point near 128: {_names(near)}"
        yield Hit("", f"{text}; their sums are large and saturate", severity)
    yield Hit("", f"{len(able)} of {count} layers can saturate; --data DIR measures how much", "info")


def _measured(subject: Subject, able: Sequence[IntegerLayer], count: int, there: bool) -> Iterator[Hit]:
    """What the sums lose on the inputs given."""
    ratios = losses(able, _inner(subject), subject.samples, subject.target)
    ordered = sorted(ratios.items(), key=lambda pair: pair[1].decibels)
    for name, loss in ordered:
        if loss.decibels < LOSSY:
            severity: Severity = "error" if loss.decibels < WRONG else "warning"
            yield Hit(
                name, f"its sums have a signal-to-noise ratio of {loss.decibels:.1f} dB", severity if there else "info"
            )
    name, worst = ordered[0]
    text = f"{len(able)} of {count} layers can saturate"
    yield Hit("", f"{text}; on {len(subject.samples)} inputs {name} has the lowest, {worst.decibels:.1f} dB", "info")


def _inner(subject: Subject) -> Any:
    if subject.format == "openvino":
        from qcore_kit.irfile.literal import Inner as IrInner

        return IrInner(subject.content).run
    from qcore_kit.onnxfile.literal import Inner

    return Inner(subject.content).run


def _names(layers: Sequence[IntegerLayer]) -> str:
    shown = ", ".join(layer.layer for layer in layers[:NAMED])
    return f"{shown}, ..." if len(layers) > NAMED else shown


RULES = (SaturatingSums,)
