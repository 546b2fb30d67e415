"""Kinds of components that the kit adds to the core's, through the entry-point group `qcore.kinds`.

It is imported whenever plugins are listed, so it imports nothing but `qcore.plugin`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qcore.plugin import ConverterSpec, Form, Spec


@dataclass(frozen=True, kw_only=True)
class AnalyzerSpec(Spec):
    """Ranks the layers of a float model by what quantizing them costs."""

    kind: ClassVar[str] = "analyzer"
    accepts: tuple[Form, ...]


@dataclass(frozen=True, kw_only=True)
class LinterSpec(Spec):
    """Finds what a runtime will refuse, get wrong or run slowly in a file.

    Attributes:
        targets: Runtimes it judges for; empty for every one.
        format: Name of the format whose content it reads; empty for any.
    """

    kind: ClassVar[str] = "linter"
    targets: tuple[str, ...] = ()
    format: str = ""


@dataclass(frozen=True, kw_only=True)
class ProbeSpec(Spec):
    """Gives what a model computes between its inputs and outputs, for `qcore compare`."""

    kind: ClassVar[str] = "probe"
    accepts: tuple[Form, ...]


@dataclass(frozen=True, kw_only=True)
class ReporterSpec(Spec):
    """Writes what a command found as a file for people.

    Attributes:
        suffix: Of that file, e.g. `.html`; it is called `report` with this suffix.
    """

    kind: ClassVar[str] = "reporter"
    suffix: str


@dataclass(frozen=True, kw_only=True)
class ProfileSpec(ConverterSpec):
    """How a runtime wants a quantized graph: a converter that writes scale tables so.

    Its name is what `--target` takes, and the profile of the form that it gives. The target has an attribute `profile`,
    a `qcore_kit.quantization.profiles.Profile`; `qcore_kit.quantization.qdq.QdqConverter` is made from one.
    """

    kind: ClassVar[str] = "profile"
    accepts: tuple[Form, ...] = (Form("table", encoding="ranges"),)


KINDS: tuple[type[Spec], ...] = (AnalyzerSpec, LinterSpec, ProbeSpec, ProfileSpec, ReporterSpec)
