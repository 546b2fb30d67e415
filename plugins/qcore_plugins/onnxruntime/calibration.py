"""Ranges of activations, found by running pictures through ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import calibrate

from qcore_plugins.quantization.table import Range

PERCENTILE = 99.999
"""Share of the values that the method `percentile` keeps on each side."""


def ranges(
    graph: onnx.ModelProto, tensors: Sequence[str], batches: Iterable[Mapping[str, Any]], method: str
) -> dict[str, Range]:
    """The range of each tensor, by the calibrators of ONNX Runtime.

    Args:
        graph: The float graph.
        tensors: Names of the activations.
        batches: Inputs by name; gone over once.
        method: `moving-average`: mean over the batches of each batch's smallest and largest value.
            `minmax`: the smallest and largest value ever seen. `percentile`: all but the outermost values.
    """
    wanted = set(tensors)
    operations = sorted({node.op_type for node in graph.graph.node if wanted & {*node.input, *node.output}})
    with tempfile.TemporaryDirectory(prefix="qcore-") as folder:
        plain = Path(folder) / "model.onnx"
        onnx.save(graph, str(plain))
        calibrator = calibrate.create_calibrator(
            plain,
            operations,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=calibrate.CalibrationMethod.Percentile
            if method == "percentile"
            else calibrate.CalibrationMethod.MinMax,
            extra_options={"moving_average": method == "moving-average", "percentile": PERCENTILE, "symmetric": False},
        )
        if method == "percentile":
            for batch in batches:  # one at a time: the calibrator keeps every activation of what it is given
                calibrator.collect_data(_Reader(iter([batch])))
        else:
            calibrator.collect_data(_Reader(iter(batches)))
        found = calibrator.compute_data()
    return {name: _range(found[name].range_value, method) for name in tensors if name in found.keys()}  # noqa: SIM118


class _Reader(calibrate.CalibrationDataReader):
    """Batches, as the calibrators ask for them."""

    def __init__(self, batches: Iterator[Mapping[str, Any]]) -> None:
        self._batches = batches

    def get_next(self) -> Any:
        """The next batch, or None."""
        return next(self._batches, None)


def _range(found: tuple[Any, Any], method: str) -> Range:
    low, high = found
    return Range(np.asarray(low).item(), np.asarray(high).item(), method)
