"""What a runtime will make of a file, told before it is deployed: rules, findings, and how they are selected."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from qcore.plugin import (
    Arrays,
    Host,
    Opened,
    PluginError,
    Progress,
    QcoreError,
    UsageError,
    bundled,
    open_file,
)
from qcore_kit import machine
from qcore_kit.checks import SEVERITIES, Finding, Rule, Subject
from qcore_kit.kinds import LinterSpec
from qcore_kit.samples import read_samples
from qcore_kit.uncontracted import no_contract

T = TypeVar("T")


@dataclass(frozen=True)
class Report:
    """What was found in a file, errors first.

    Attributes:
        path: The file.
        format: Name of its format.
        target: The runtime it was judged for.
        findings: Errors, warnings, infos; in the order of the rules within each.
        asked: Identifiers of the rules that were asked.
    """

    path: Path
    format: str
    target: str
    findings: tuple[Finding, ...]
    asked: tuple[str, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """Severity -> how many findings."""
        return {kind: sum(finding.severity == kind for finding in self.findings) for kind in SEVERITIES}


def check(
    path: str | os.PathLike[str],
    target: str | None = None,
    *,
    plugins: Host,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    cpu: str = machine.THIS,
    data: Any = None,
    progress: Progress | None = None,
) -> Report:
    """Ask every rule about a file.

    Args:
        path: An exported file.
        target: The runtime; None for the one that the file was written for.
        plugins: Where formats and linters come from.
        select: Identifiers of rules, or beginnings of some; empty for all.
        ignore: The same, of rules not to ask.
        cpu: Kind of CPU that the file is judged for, one of `machine.CPUS`.
        data: Inputs that rules may compute on: what the contract's preprocessor expands.
        progress: Where to say which of those cannot be read.

    Raises:
        UsageError: A target or rule that does not exist, or a file of a format that no linter reads.
        FileError: The file is absent, damaged or of no known format, has no contract to read data by, or no data is
            readable.
        PluginError: A rule failed.
    """
    specs = plugins.specs(LinterSpec)
    if target is not None:
        _require_target(target, targets(plugins))
    wanted = _selection(plugins, select, ignore)
    opened = open_file(path, plugins)
    target = target or _own_target(opened, targets(plugins))
    asking = [spec for spec in specs if not spec.targets or target in spec.targets]
    formats = sorted({spec.format for spec in asking if spec.format})
    if opened.spec.name not in formats:
        raise UsageError(
            f"{path}: cannot check {opened.spec.name} files for {target}; "
            f"supported formats: {', '.join(formats) or 'none'}",
            hint="export it first: qcore export MODEL --to onnx -o out/",
        )
    read = () if data is None else _samples(opened, data, plugins, progress)
    subject = replace(_subject(opened, target), cpu=cpu, samples=read)
    findings: list[Finding] = []
    asked: list[str] = []
    for spec in asking:
        if spec.format not in ("", subject.format):
            continue
        if problems := spec.problems():
            findings.append(_not_judged(spec, problems, target))
            continue
        for rule in rules_of(spec):
            if wanted(rule.id) and (not rule.targets or target in rule.targets):
                asked.append(rule.id)
                findings += _asked(rule, subject)
    if not asked and (select or ignore):
        raise UsageError(f"--select and --ignore leave no rule for {target}", hint="omit both to run all rules")
    ordered = sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
    return Report(subject.path, subject.format, target, tuple(ordered), tuple(asked))


def _own_target(opened: Opened, known: Sequence[str]) -> str:
    """The runtime that a file was written for: by its profile, or as the only one that reads its format.

    Raises:
        UsageError: It says nothing of that.
    """
    profile = opened.format.form(opened.content).profile
    for name in (profile, opened.spec.name):
        if name in known:
            return str(name)
    raise UsageError(
        f"{opened.path}: does not say which runtime it is for", hint=f"choose one with --target: {', '.join(known)}"
    )


def _require_target(target: str, known: Sequence[str]) -> None:
    if target not in known:
        near = difflib.get_close_matches(target, known, n=1)
        raise UsageError(
            f"no linter supports target {target!r}" + (f"; did you mean {near[0]}?" if near else ""),
            hint=f"--target one of {', '.join(known) or 'none: no linter is installed'}",
        )


def rules(plugins: Host) -> list[Rule]:
    """The rules of all linters, in a stable order; of those too that cannot judge here because a package is missing.

    Raises:
        PluginError: A linter cannot be imported, although all that it requires is installed.
    """
    rules_: list[Rule] = []
    for spec in plugins.specs(LinterSpec):
        try:
            rules_ += rules_of(spec)
        except PluginError:
            if bundled(spec) and not spec.problems():
                raise
    return rules_


def targets(plugins: Host) -> list[str]:
    """The runtimes that some linter or rule judges for by name."""
    named = {name for spec in plugins.specs(LinterSpec) for name in spec.targets}
    return sorted(named.union(*(rule.targets for rule in rules(plugins))))


def rules_of(spec: LinterSpec) -> list[Rule]:
    """The rules of one linter.

    Raises:
        PluginError: It cannot be imported.
    """
    return list(spec.create(ready=False).rules())


def explain(identifier: str, plugins: Host) -> str:
    """The page of a rule, in Markdown.

    Raises:
        UsageError: No such rule.
    """
    known = {rule.id: rule for rule in rules(plugins)}
    _require(identifier, known)
    return page(known[identifier])


def page(rule: Rule) -> str:
    """The page of a rule, in Markdown, made of its docstring."""
    judged = ", ".join(rule.targets) or "every target"
    text = inspect.getdoc(type(rule)) or ""
    return f"# {rule.id}\n\n*{rule.severity}, {judged}*\n\n{text}\n"


def _subject(opened: Opened, target: str) -> Subject:
    inputs, outputs = opened.format.signature(opened.content)
    form = opened.format.form(opened.content)
    return Subject(opened.path, opened.spec.name, opened.content, form, opened.contract, inputs, outputs, target)


def _samples(opened: Opened, data: Any, plugins: Host, progress: Progress | None) -> Sequence[Arrays]:
    if opened.contract is None:
        raise no_contract(opened.path)
    return read_samples(opened.contract, data, plugins=plugins, progress=progress)


def _selection(plugins: Host, select: Sequence[str], ignore: Sequence[str]) -> Callable[[str], bool]:
    """Whether a rule is asked; the longer of two prefixes that fit decides, as in ruff."""
    known = [rule.id for rule in rules(plugins)] if select or ignore else []
    for prefix in (*select, *ignore):
        if not any(identifier.startswith(prefix) for identifier in known):
            _require(prefix, known)

    def wanted(identifier: str) -> bool:
        chosen = max((len(prefix) for prefix in select if identifier.startswith(prefix)), default=-1 if select else 0)
        left = max((len(prefix) for prefix in ignore if identifier.startswith(prefix)), default=-1)
        return chosen > left or (chosen == left == -1 and not select)

    return wanted


def _require(identifier: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if identifier in names:
        return
    near = difflib.get_close_matches(identifier.upper(), names, n=1, cutoff=0.4)
    raise UsageError(
        f"unknown rule {identifier!r}" + (f"; did you mean {near[0]}?" if near else ""),
        hint=f"there are: {', '.join(names) or 'none'}",
    )


def _asked(rule: Rule, subject: Subject) -> list[Finding]:
    try:
        return list(rule.check(subject))
    except QcoreError:
        raise
    except Exception as error:
        raise PluginError(
            f"rule {rule.id} failed on {subject.path} ({type(error).__name__}: {error})",
            hint=f"leave it out with --ignore {rule.id}, and report it",
        ) from error


def _not_judged(spec: LinterSpec, problems: Sequence[tuple[str, str]], target: str) -> Finding:
    return Finding(
        spec.name,
        "info",
        "",
        f"{spec.summary}: not judged, {'; '.join(problem for problem, _ in problems)}",
        f"these rules for {target} need this package",
        " && ".join(dict.fromkeys(install for _, install in problems)),
    )
