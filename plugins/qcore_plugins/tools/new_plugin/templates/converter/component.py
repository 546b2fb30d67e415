"""The converter `mynet`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qcore.plugin import Model, Progress


class Mynet:
    """Takes the weights out of a graph; fields of the form that `produces` leaves open stay as they were."""

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:
        """The weights as arrays, by name."""
        from onnx import numpy_helper

        weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.module.graph.initializer}
        return model.evolve(form=replace(model.form, format="mynet"), module=weights)
