"""One file that quantization is to write, and what a tuner makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qcore.plugin import BackendSpec, Recipe, Run


@dataclass(frozen=True)
class Target:
    """One file to write.

    Attributes:
        name: Of its folder, where several are written.
        backend: What runs it.
        profile: To write for instead of the backend's own.
        goal: Form to end at, where no backend of its own is asked for.
    """

    name: str
    backend: BackendSpec
    profile: str | None = None
    goal: Any = None

    def of(self, run: Run) -> Run:
        """The run, ending here."""
        return run.vary(self.recipe(run.recipe))

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe, ending here."""
        return recipe.with_backend(None if self.goal else self.backend, profile=self.profile)


@dataclass(frozen=True)
class Tuned:
    """What a tuner came to.

    Attributes:
        run: Gives the file.
        left_float: Layers that it left float, as `Model.layers` names them.
        report: What is printed of it, as plain data.
        ranked: All layers with what they cost, the worst first, where it knows.
    """

    run: Run
    left_float: tuple[str, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    ranked: Sequence[Mapping[str, Any]] = ()
