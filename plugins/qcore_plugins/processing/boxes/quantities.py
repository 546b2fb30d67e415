"""Output tensors taken apart into boxes, objectness and class scores, and what to call the place of every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qcore.plugin import Tensor
from qcore_kit.layouts import HasParts, Layout, Quantity


def quantities(
    layout: Layout, outputs: Sequence[Tensor], given: Mapping[str, Any], size: tuple[int, int], classes: Sequence[str]
) -> dict[str, Quantity]:
    """The quantities in some outputs; nothing where the layout does not tell them apart.

    Args:
        layout: Of the outputs.
        outputs: As the contract tells them.
        given: Their values.
        size: Height and width of the input in pixels.
        classes: Names.
    """
    named: dict[str, Quantity] = {}
    if not isinstance(layout, HasParts):
        return named
    for output in outputs:
        several = sum(other.meaning == output.meaning for other in outputs) > 1
        for name, quantity in layout.parts(output, np.asarray(given[output.name]), size, classes).items():
            named[f"{output.name} {name}" if several else name] = quantity
    return named
