"""`qcore doctor`: what is installed, what is missing and what that costs; to be copied into an issue report."""

from __future__ import annotations

import argparse
import platform
import re
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

import qcore
from qcore.plugin import DISTRIBUTION, Host, Output, Requirement, Spec
from qcore_kit import commandline, machine

WITHOUT_VNNI = (
    "without VNNI, sums of int8 products saturate on the CPU. INT8 files that qcore writes with "
    "-q saturation=selective (default) keep their accuracy there and run 1.4 times as fast as float on OpenVINO, "
    "1.1 times on ONNX Runtime (docs/cpus.md); for other files, run qcore check FILE --target RUNTIME --cpu avx2"
)
WITH_VNNI = "with VNNI, sums of int8 products are exact"
_FOLDERS = re.compile(r"(?<![\w.:/\\])(?:~|[A-Za-z]:)?[/\\](?:[^\s'\"/\\,;()]+[/\\])+")
"""The folders of an absolute path; the last part, a file's name, is kept."""


def run(output: Output, plugins: Host, cpu: str = machine.THIS) -> int:
    """Print everything; 0 also where something is missing, for nobody needs all of it.

    Args:
        output: Where to.
        plugins: Whose requirements are looked at.
        cpu: Kind of CPU whose integer arithmetic is told of, one of `machine.CPUS`.
    """
    machine_facts = examine(plugins, cpu)
    if output.json:
        output.result(machine_facts)
        return 0
    output.say(f"qcore {machine_facts['qcore']}, Python {machine_facts['python']}, {machine_facts['system']}")
    for line in _hardware(machine_facts):
        output.say(line)
    rows = [
        (row["package"], row["installed"] or "-", ", ".join(row["wanted"]) or "any", _status(row))
        for row in machine_facts["packages"]
    ]
    output.say("")
    output.table("", ("PACKAGE", "INSTALLED", "WANTED", "STATUS"), rows)
    output.say("")
    for row in machine_facts["packages"]:
        if row["problem"]:
            output.say(f"{row['problem']}, which costs {', '.join(row['components'])}")
            output.say(f"  {row['install']}")
    broken = machine_facts["plugins"]["problems"]
    for row in broken:
        output.say(f"{row['kind']} {row['name']} is {row['status']}: {row['problem']}")
    if not broken:
        output.say(f"plugins: {machine_facts['plugins']['count']}, none of them broken")
    return 0


def _status(row: dict[str, Any]) -> str:
    return str(row["problem"] or ("ok" if row["installed"] else "not installed; an alternative to another package"))


def examine(plugins: Host, asked: str = machine.THIS) -> dict[str, Any]:
    """All facts as plain data, without names of users and machines and without absolute paths."""
    cpu = machine.cpu()
    kind = machine.kind(cpu) if asked == machine.THIS else asked
    return {
        "qcore": qcore.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu,
        "asked_cpu": asked,
        "kind": kind,
        "saturates": machine.saturates(kind),
        "memory_gib": machine.memory(),
        "gpus": machine.gpus(),
        "packages": _packages(plugins),
        "plugins": {"count": len({plugin.name for plugin in plugins.plugins()}), "problems": list(_problems(plugins))},
    }


def _hardware(found: dict[str, Any]) -> Iterator[str]:
    cpu = found["cpu"]
    flags = "flags unknown" if cpu["flags"] is None else ", ".join(cpu["flags"]) or "no AVX2, VNNI, AMX or BF16 flags"
    memory = f", {found['memory_gib']} GiB" if found["memory_gib"] is not None else ""
    yield f"CPU: {cpu['model']} ({flags}), {cpu['cores']} usable cores{memory}"
    asked = "" if found["asked_cpu"] == machine.THIS else f"--cpu {found['asked_cpu']}: "
    if found["saturates"]:
        yield f"  {asked}{WITHOUT_VNNI}"
    elif asked:
        yield f"  {asked}{WITH_VNNI}"
    for gpu in found["gpus"]:
        more = f", {gpu['memory']}" if "memory" in gpu else ""
        yield f"GPU: {gpu['name']}{more}, driver {gpu['driver']}"
    if not found["gpus"]:
        yield "GPU: no NVIDIA GPU detected"


def _packages(plugins: Host) -> list[dict[str, Any]]:
    """One row a package: those of qcore itself, then those that components require, by name."""
    rows = {row["package"]: row for row in _own()}
    for spec in plugins.components():
        for requirement in spec.requires:
            problem = requirement.problem()
            for one in (requirement, *requirement.instead):
                _note(rows, one, problem if one is requirement else None, spec)
    return sorted(rows.values(), key=lambda row: str(row["package"]))


def _own() -> Iterator[dict[str, Any]]:
    """What the base install of qcore requires."""
    from packaging.requirements import Requirement as Wanted

    try:
        texts: Sequence[str] = metadata.requires(DISTRIBUTION) or ()
    except metadata.PackageNotFoundError:
        return
    for wanted in map(Wanted, texts):
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            installed = _installed(wanted.name)
            problem = None if installed else f"{wanted.name} is not installed"
            if installed and not wanted.specifier.contains(installed, prereleases=True):
                problem = f"{wanted.name} {installed} is installed, {wanted.specifier} is needed"
            yield {
                "package": wanted.name,
                "installed": installed,
                "wanted": [str(wanted.specifier)] if str(wanted.specifier) else [],
                "components": ["qcore itself"],
                "problem": problem,
                "install": f"pip install '{wanted.name}{wanted.specifier}'" if problem else None,
            }


def _note(rows: dict[str, dict[str, Any]], requirement: Requirement, problem: str | None, spec: Spec[Any]) -> None:
    empty = {"installed": _installed(requirement.distribution), "problem": None, "install": None}
    row = rows.setdefault(
        requirement.distribution,
        {"package": requirement.distribution, **empty, "wanted": [], "components": []},
    )
    if requirement.version and requirement.version not in row["wanted"]:
        row["wanted"].append(requirement.version)
    component = f"{spec.kind} {spec.name}"
    if component not in row["components"]:
        row["components"].append(component)
    if problem:
        row |= {"problem": problem, "install": requirement.install}


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _problems(plugins: Host) -> Iterator[dict[str, str]]:
    """Host that cannot be used, and components of one name."""
    for row in plugins.rows():
        if row["kind"] == "plugin" or row["status"] == "conflict":
            yield {
                "kind": row["kind"],
                "name": row["name"],
                "distribution": row["distribution"],
                "status": row["status"],
                "problem": without_folders(row["hint"]),
            }


def without_folders(text: str) -> str:
    """The text with only the last part of each absolute path."""
    return _FOLDERS.sub("", text)


class Doctor:
    """Tells what is installed, what is missing and what that costs."""

    example = "qcore doctor"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """What it takes."""
        commandline.add_cpu(parser, "kind of CPU to describe")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Look at everything."""
        return run(output, host, options.cpu)
