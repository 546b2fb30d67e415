"""What rules on files are made of: a subject, the rules, and their findings; see `qcore check`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar

from qcore.plugin import Arrays, Contract, Form, Tensor
from qcore_kit import machine

T = TypeVar("T")
Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""`error`: refused, wrong results, or made for another runtime. `warning`: slower or larger. `info`: worth knowing."""

AGAIN = "qcore quantize MODEL --calib images/ --quantizer onnxruntime --backend {target} -o out/"
WRITTEN = "qcore export MODEL.qtable --to onnx --target {target} -o out/"
COARSE = 1 / 32
"""A scale from which on scores have no more than some thirty steps."""


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found.

    Attributes:
        rule: Identifier of the rule; name of the linter where that could not be asked.
        severity: `error`, `warning` or `info`.
        where: Node or tensor; empty for the file as a whole.
        message: What is there, one line.
        why: What the runtime makes of it.
        hint: What to run or change.
    """

    rule: str
    severity: Severity
    where: str
    message: str
    why: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Subject:
    """An opened file, as rules see it.

    Attributes:
        path: The file.
        format: Name of its format.
        content: What that format's `open` returned.
        form: What it is technically.
        contract: The contract inside, if any.
        inputs: As the file itself tells them.
        outputs: As the file itself tells them.
        target: The runtime it is judged for.
        cpu: Kind of CPU it is judged for, one of `machine.CPUS`.
        samples: Input tensors by name, for rules that compute; empty where no data was given.
    """

    path: Path
    format: str
    content: Any = field(repr=False)
    form: Form
    contract: Contract | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    target: str
    cpu: str = machine.THIS
    samples: Sequence[Arrays] = field(default=(), repr=False)
    _derived: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def derived(self, make: Callable[[Any], T]) -> T:
        """What a function makes of the content, made once for all rules."""
        if make not in self._derived:
            self._derived[make] = make(self.content)
        value: T = self._derived[make]
        return value


class Rule(Protocol):
    """Looks for one thing. Its docstring is its page: what it is, why it matters (`Why:`), what to do (`Fix:`).

    The four properties may be attributes of the class.
    """

    @property
    def id(self) -> str:
        """Letters and a number, e.g. `QDQ001`; unique."""
        ...

    @property
    def severity(self) -> Severity:
        """Of its findings, unless one says otherwise."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """Runtimes it judges for; empty for every one."""
        ...

    @property
    def summary(self) -> str:
        """One line."""
        ...

    def check(self, subject: Subject) -> Iterable[Finding]:
        """What is found in the file."""
        ...


class Linter(Protocol):
    """A set of rules."""

    def rules(self) -> Sequence[Rule]:
        """Its rules, in the order in which they are asked."""
        ...


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
        paragraph = next((part for part in paragraphs if part.startswith("Why: ")), "")
        return " ".join(paragraph.removeprefix("Why: ").split())

    def check(self, subject: Subject) -> Iterable[Finding]:
        """Findings made of what the rule hits."""
        hint = self.hint.format(file=subject.path, target=subject.target)
        for hit in self.hits(subject):
            yield Finding(self.id, hit.severity or self.severity, hit.where, hit.message, self.why, hint)

    def hits(self, subject: Subject) -> Iterable[Hit]:
        """Where it is found."""
        raise NotImplementedError
