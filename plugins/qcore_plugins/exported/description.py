"""What an exported file without a contract means: its family's conventions, said or told from its shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import qcore
from qcore import loading
from qcore.contract import Contract, Tensor
from qcore.errors import UsageError
from qcore_plugins.classes.text import from_file

CELLS = (8, 16, 32)
"""Strides of the three levels that the families have."""
ANCHORS = 3
"""Boxes a cell of YOLOv5."""


def describe(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, options: Mapping[str, Any], stored: list[str] | None
) -> tuple[Contract, dict[str, str]]:
    """The contract, and what was assumed.

    Args:
        inputs: Of the graph.
        outputs: Of the graph.
        options: `family` and `names` (a file, see `classes.text.from_file`), either may be None.
        stored: Names that the file itself has, used where no others are given.

    Raises:
        FileError: The tensors are not the family's, or the number of names is another.
        UsageError: The family is open.
    """
    family = options.get("family") or guess(inputs, outputs)
    names = from_file(options["names"]) if options.get("names") else stored
    contract = loading.describe(family, inputs, outputs, names=names, plugins=qcore.plugins)
    said = {"family": family, "variant": "exported elsewhere"}
    notes = {"assumed": f"outputs and preprocessing of {family}; --preprocess changes the latter"}
    return replace(contract, provenance={**contract.provenance, **said}), notes


def guess(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> str:
    """The family that alone has outputs of these shapes.

    Raises:
        UsageError: None has, or more than one.
    """
    _, _, height, width = inputs[0].shape if len(inputs) == 1 and len(inputs[0].shape) == 4 else (0, 0, 0, 0)
    cells = sum((int(height) // stride) * (int(width) // stride) for stride in CELLS) if height and width else -1
    shapes = [output.shape for output in outputs]
    found = []
    if len(shapes) == 1 and len(shapes[0]) == 3:
        found += ["yolov5"] if shapes[0][1] == ANCHORS * cells else []
        found += ["yolov9"] if shapes[0][2] == cells else []
    if len(shapes) == 2 and all(len(shape) == 3 and shape[1] == cells for shape in shapes):
        found += ["yolonas"] if [shape[2] for shape in shapes].count(4) == 1 else []
    if len(found) != 1:
        listed = ", ".join(f"{output.name} {list(output.shape)}" for output in outputs)
        raise UsageError(
            f"which family this is cannot be told from its outputs: {listed}",
            hint="say it with --loader-option family=yolov5, yolov9 or yolonas, and cut with input= and output=",
        )
    return found[0]
