"""What rules on files are made of: a subject, the rules, and their findings; see `qcore check`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from qcore.plugin import Arrays, Contract, Form, Tensor
from qcore_kit import machine

T = TypeVar("T")
Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""`error`: refused, wrong results, or made for another runtime. `warning`: slower or larger. `info`: worth knowing."""


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
        made: T = self._derived[make]
        return made


class Rule(Protocol):
    """Looks for one thing. Its docstring is its page: what it is, why it matters (`Why:`), what to do (`Mend:`).

    Attributes:
        id: Letters and a number, e.g. `QDQ001`; unique.
        severity: Of its findings, unless one says otherwise.
        targets: Runtimes it judges for; empty for every one.
    """

    id: ClassVar[str]
    severity: ClassVar[Severity]
    targets: ClassVar[tuple[str, ...]]

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
