"""A package that a component needs, and how to install it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import metadata

DISTRIBUTION = "qcore-quant"
"""Name of this distribution on the package index; every install hint is made from it."""


@dataclass(frozen=True)
class Requirement:
    """A package that a component imports.

    Attributes:
        module: Top-level import name.
        distribution: Name on the package index.
        version: Version specifiers, e.g. `>=3.4,<4`; empty for any.
        extra: Extra of qcore's own distribution that installs it; empty where it has none.
        instead: Packages of which any one does as well.
    """

    module: str
    distribution: str
    version: str = ""
    extra: str = ""
    instead: tuple[Requirement, ...] = ()

    @property
    def install(self) -> str:
        """The command that installs it."""
        wanted = f"{DISTRIBUTION}[{self.extra}]" if self.extra else f"{self.distribution}{self.version}"
        return f"pip install '{wanted}'"

    def problem(self) -> str | None:
        """What is wrong with the installed package, or None. Imports nothing."""
        try:
            module = importlib.util.find_spec(self.module)
        except (ImportError, ValueError):
            module = None
        if module is None or module.origin is None:
            if any(other.problem() is None for other in self.instead):
                return None
            names = " or ".join((self.distribution, *(other.distribution for other in self.instead)))
            return f"{names} is not installed"
        if self.version:
            from packaging.specifiers import SpecifierSet

            try:
                installed = metadata.version(self.distribution)
            except metadata.PackageNotFoundError:
                return None
            if not SpecifierSet(self.version).contains(installed, prereleases=True):
                return f"{self.distribution} {installed} is installed, {self.version} is needed"
        return None
