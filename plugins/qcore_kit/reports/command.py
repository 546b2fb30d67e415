"""What commands tell observers, such as the one of `--report`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import qcore
from qcore.plugin import Contract, Output, counted
from qcore_kit import commandline, machine
from qcore_kit.kinds import ObserverSpec
from qcore_kit.reports import Report

if TYPE_CHECKING:
    from qcore_kit.abilities import Observer

SIGNS = {"pass": "ok", "note": "note", "fail": "FAIL", "none": ""}
"""What stands before a row or a line that was judged."""


@dataclass(frozen=True)
class Observers:
    """Those that are to be told what a command finds; none is false.

    Attributes:
        told: Each with its spec.
        argv: The arguments of the command, for its report; empty from a script.
    """

    told: Sequence[tuple[ObserverSpec, Observer]] = ()
    argv: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.told)

    def tell(self, report: Report, output: Output) -> None:
        """Give all of them the report, and say which files they wrote."""
        for spec, observer in self.told:
            files = observer.finished(report)
            output.note(f"{spec.name}: {', '.join(map(str, files))}")

    def commands(self, contracts: Mapping[str, Contract]) -> list[str]:
        """The command line as it was typed, and for each quantized file the one that its contract tells of."""
        provenances = ((name, contract.provenance) for name, contract in contracts.items())
        typed = [shlex.join(["qcore", *self.argv])] if self.argv else []
        return [
            *typed,
            *(_quantize(name, provenance) for name, provenance in provenances if "quantization" in provenance),
        ]


def add_observers(parser: argparse.ArgumentParser, host: qcore.Host) -> None:
    """Add the options of all installed observers as flags, such as `--report`."""
    commandline.add_options(parser, host, ObserverSpec)


def begun(options: argparse.Namespace, host: qcore.Host) -> Observers:
    """The observers of a command; see `observing`."""
    return observing(host, commandline.given(options, ObserverSpec), options.argv)


def observing(host: qcore.Host, options: Mapping[str, Any], argv: Sequence[str] = ()) -> Observers:
    """The observers of which an option is given, ready; called before the long work, so that it does not end in vain.

    Raises:
        QcoreError: As their `begin`.
    """
    told = []
    for spec, settings in commandline.taking_part(host, ObserverSpec, options):
        observer = spec.create()
        observer.begin(settings, host)
        told.append((spec, observer))
    return Observers(told, argv)


def facts() -> dict[str, str]:
    """Small print of every report: when, with what, on which machine."""
    cpu = machine.cpu()
    flags = f" ({', '.join(cpu['flags'])})" if cpu["flags"] else ""
    gpus = ", ".join(gpu["name"] for gpu in machine.gpus())
    return {
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "qcore": qcore.__version__,
        "cpu": f"{cpu['model']}{flags}, {cpu['cores']} cores",
        **({"gpu": gpus} if gpus else {}),
    }


def _quantize(name: str, provenance: Mapping[str, Any]) -> str:
    quantization, calibration = provenance["quantization"], provenance.get("calibration", {})
    source = provenance.get("source", {}).get("file", "MODEL")
    words = ["qcore", "quantize", str(source), "--quantizer", str(quantization.get("quantizer", "")), "--calib", "DIR"]
    if profile := quantization.get("profile"):
        words += ["--profile", str(profile)]
    recipe = dict(quantization.get("recipe", {}))
    if left := quantization.get("left_float"):
        recipe["exclude"] = [*dict.fromkeys([*recipe.get("exclude", ()), *left])]
    for key, value in recipe.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        words += ["-q", f"{key}={text}"] if value not in (None, [], (), "", {}) else []
    count, digest = calibration.get("pictures", "?"), str(calibration.get("sha256", ""))[:12]
    return f"{shlex.join(words)}  # {name}, as its contract tells; DIR: {counted(count, 'input')}, sha256 {digest}"
