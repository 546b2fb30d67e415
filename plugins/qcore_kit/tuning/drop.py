"""How much lower a figure may be."""

from __future__ import annotations

from typing import Any, Self

from qcore.plugin import UsageError


class Drop(float):
    """A loss of a figure between 0 and 1: `0.005`, or `0.5pt` for half a hundredth.

    Raises:
        ValueError: It is no such text.
    """

    def __new__(cls, value: Any) -> Self:
        """From a number or a text."""
        points = isinstance(value, str) and value.strip().endswith("pt")
        return super().__new__(cls, float(value.strip()[:-2]) / 100 if points else value)


class Allowance(Drop):
    """A drop that a budget may allow; more than ten points is a number of points that was meant.

    Raises:
        UsageError: It is not above 0, or above `most`.
    """

    most = 0.1

    def __new__(cls, value: Any) -> Self:
        """From a number or a text."""
        drop = super().__new__(cls, value)
        if not 0 < drop <= cls.most:
            raise UsageError(
                f"--max-drop {value} is not above 0 and at most {cls.most:g}", hint="0.5pt is half a point, 0.005"
            )
        return drop


Drop.__name__ = Allowance.__name__ = "loss such as 0.005 or 0.5pt"  # what errors call the type of an option
