"""What the rules of this plugin have in common: their words come from their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from qcore_kit.checks import Finding, Severity, Subject

AGAIN = "qcore quantize MODEL --calib images/ --quantizer onnxruntime --backend {target} -o out/"
WRITTEN = "qcore export MODEL.qtable --to onnx --target {target} -o out/"


class Hit(NamedTuple):
    """A place where a rule found something; its own severity where it differs from the rule's."""

    where: str
    message: str
    severity: Severity | None = None


class Documented:
    """A rule whose summary is the first line of its docstring, and whose reason the paragraph `Why:`.

    Attributes:
        hint: What to run; `{file}` and `{target}` are filled in.
    """

    id: ClassVar[str]
    severity: ClassVar[Severity] = "warning"
    targets: ClassVar[tuple[str, ...]] = ()
    hint: ClassVar[str] = AGAIN

    @property
    def summary(self) -> str:
        """The first line."""
        return (inspect.getdoc(type(self)) or "").splitlines()[0].rstrip(".")

    @property
    def why(self) -> str:
        """The paragraph that begins with `Why:`."""
        paragraphs = (inspect.getdoc(type(self)) or "").split("\n\n")
        found = next((part for part in paragraphs if part.startswith("Why: ")), "")
        return " ".join(found.removeprefix("Why: ").split())

    def check(self, subject: Subject) -> Iterable[Finding]:
        """Findings made of what the rule hits."""
        hint = self.hint.format(file=subject.path, target=subject.target)
        for hit in self.hits(subject):
            yield Finding(self.id, hit.severity or self.severity, hit.where, hit.message, self.why, hint)

    def hits(self, subject: Subject) -> Iterable[Hit]:
        """Where it is found."""
        raise NotImplementedError
