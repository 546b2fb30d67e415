"""Options that every quantizer has, with one meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qcore.plugin import Model, Option

if TYPE_CHECKING:
    from qcore_kit.quantization.graph import Graph

LEAVING_FLOAT = (
    Option("exclude", "layers to leave float, as shell-style patterns", (), tuple),
    Option("last_layer", "quantize the last convolutions before the decode, where the profile does", True, bool),
)


def left_float(graph: Graph, options: Mapping[str, Any]) -> frozenset[str]:
    """Names of the operations that the options leave float.

    Raises:
        UsageError: A pattern fits no layer, or no layer is left to quantize.
    """
    from qcore.plugin import UsageError
    from qcore_kit.quantization.placement import matching

    last = frozenset() if options["last_layer"] else graph.last
    left = matching(graph, options["exclude"]) | last
    if options["exclude"] and {node.name for node in graph.weighted} - graph.tail <= left:
        raise UsageError(
            f"nothing is quantized: --exclude {' '.join(options['exclude'])} leaves all layers in float",
            hint="exclude fewer layers; qcore sensitivity names those that lose the most",
        )
    return left


def leave_float(model: Model, layers: Sequence[str]) -> Model:
    """The same scale table with further layers float, without calibrating again; for `Quantizer.leaving_float`."""
    from qcore_kit.quantization.graph import from_onnx
    from qcore_kit.quantization.placement import matching

    table = model.module
    return model.evolve(module=table.excluding(matching(from_onnx(table.graph), layers)))


CALIBRATED = Option(
    "calibrated",
    "files of calibration parts to take ranges from, instead of running all inputs",
    (),
    tuple,
    local=True,
)

SATURATION = Option(
    "saturation",
    "for CPUs without VNNI, keep weights within +-64: of the layers that saturate, of all (less accurate), or of none",
    "selective",
    str,
    ("selective", "everywhere", "ignore"),
)

CALIBRATING = (
    Option("method", "how ranges follow from the inputs", "percentile", str, ("percentile", "entropy", "mse", "max")),
    Option("percentile", "percentage of values inside the range, for method=percentile", 99.999, float),
)

TRAINING = (
    Option("qat", "fine-tune the fake-quantized network by distillation from the float one", False, bool),
    Option("steps", "training steps", 400, int),
    Option("batch", "batch size per training step, summed over all processes", 4, int),
    Option("rate", "learning rate at the start; falls to 0 as a cosine", 5e-6, float),
    Option("seed", "random seed for input order and flips", 0, int),
    Option("scales", "ranges of activations while training", "fixed", str, ("fixed", "learned")),
    Option("state", "training checkpoint, used to resume an interrupted run", None, str, local=True),
    Option("device", "where PyTorch computes; auto takes a GPU where there is one", "auto", str),
)
