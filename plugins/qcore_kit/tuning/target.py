"""One file that quantization is to write."""

from __future__ import annotations

from dataclasses import dataclass
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
