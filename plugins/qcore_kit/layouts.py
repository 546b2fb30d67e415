"""Layouts: how the outputs of detectors are arranged, asked once for everything that reads them.

A layout is a component of the kind `layout`, chosen by what the contract says the outputs mean. All can `read`; what
else one can is a small interface: `HasParts` for `qcore compare`, `HasScript` for `qcore snippet`, `HasTail` for
suppression inside the graph, `HasClasses` for `qcore check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from qcore.plugin import Arrays, Host, Tensor, UsageError, only
from qcore_kit.kinds import LayoutSpec

Index = tuple[int, ...]
Quantity = tuple[Any, Callable[[Index], str]]
"""Values, and what to call the place of an index into them."""


class Layout(Protocol):
    """One way to arrange outputs."""

    def read(self, outputs: Sequence[Tensor], values: Arrays) -> tuple[Any, Any]:
        """Boxes `[B, N, 4]` xyxy in input pixels and scores `[B, N, classes]`, of NumPy or torch values by name."""
        ...


@runtime_checkable
class HasParts(Protocol):
    """A layout whose values have names."""

    def parts(self, output: Tensor, values: Any, size: tuple[int, int], classes: Sequence[str]) -> dict[str, Quantity]:
        """The quantities in one output: name -> (array, what to call the place of an index).

        Args:
            output: As the contract tells it.
            values: Of that output.
            size: Height and width of the input in pixels.
            classes: Names.
        """
        ...


@runtime_checkable
class HasScript(Protocol):
    """A layout that a script without qcore can read."""

    def script(self, outputs: Sequence[Tensor]) -> str:
        """The text of a module with `decode(outputs)`: boxes `[N, 4]` xyxy and scores `[N, classes]` of one input."""
        ...


@runtime_checkable
class HasTail(Protocol):
    """A layout that ONNX operators can read."""

    def tail(self, graph: Any, outputs: Sequence[Tensor]) -> tuple[str, str, int]:
        """Add what reads the outputs; names of boxes `[B, N, 4]` xyxy and scores `[B, N, classes]`, and N.

        Args:
            graph: With `add(op, *inputs, **attributes) -> name`, `constant(value, dtype) -> name`,
                `slice(name, start, end, axis) -> name` and `free(name) -> name` of a tensor of the model.
            outputs: As the contract tells them.
        """
        ...


@runtime_checkable
class HasClasses(Protocol):
    """A layout in which the number of classes shows in a shape."""

    def count(self, output: Tensor, shape: Sequence[Any]) -> int | None:
        """How many classes an output of that shape has scores for; None where it does not tell."""
        ...


def layout_of(outputs: Sequence[Tensor], host: Host | None = None) -> Layout:
    """The layout of some outputs.

    Args:
        outputs: As the contract tells them.
        host: Where layouts come from; the process's own by default.

    Raises:
        UsageError: There is none, or there are several.
    """
    if host is None:
        import qcore

        host = qcore.plugins
    fitting = matching(outputs, host)
    listed = ", ".join(f"{output.name} ({output.meaning}, {output.stage})" for output in outputs)
    spec = only(fitting, what=f"read {listed}")
    if spec is None:
        raise UsageError(
            f"qcore does not know these outputs: {listed}",
            hint="qcore list-plugins --kind layout shows the layouts; docs/contract.md lists the meanings",
        )
    layout: Layout = spec.create()
    return layout


def matching(outputs: Sequence[Tensor], host: Host) -> list[LayoutSpec]:
    """The layouts that read some outputs, by what the contract says they mean."""
    meanings = sorted((output.meaning or "", output.stage or "") for output in outputs)
    return [spec for spec in host.specs(LayoutSpec) if _fits(spec, meanings)]


def reader(outputs: Sequence[Tensor], host: Host | None = None) -> Callable[[Mapping[str, Any]], tuple[Any, Any]]:
    """The function that reads outputs: values by name -> boxes and scores; arguments and errors as in `layout_of`."""
    layout = layout_of(outputs, host)
    return lambda values: layout.read(outputs, values)


def _fits(spec: LayoutSpec, said: Sequence[tuple[str, str]]) -> bool:
    if spec.several:
        return bool(said) and set(said) == set(spec.matches)
    return list(said) == sorted(spec.matches)
