"""`qcore check-plugin`."""

from __future__ import annotations

import argparse
from collections import Counter

from qcore.plugin import CheckFailed, Host, Output, counted


class CheckPlugin:
    """Runs the conformance checks of a plugin, without pytest."""

    example = "qcore check-plugin mynet"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """The plugin."""
        parser.add_argument("plugin", help="name of a plugin, as qcore list-plugins shows it in its column plugin")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Say what fails and what to do; exit code 1 if anything does.

        Raises:
            CheckFailed: A check failed.
        """
        from qcore.testing import checks_of, conformance_of, run_checks

        classes = conformance_of(options.plugin, host)
        total = sum(len(checks_of(each)) for each in classes)
        outcomes = list(output.progress.track(run_checks(classes), "checking", total))
        counts = Counter(outcome.status for outcome in outcomes)
        lines = {
            "failed": [f"  {each.message}" for each in outcomes if each.status == "failed"],
            "known": [
                f"  {each.component}: {each.check}: {each.message}" for each in outcomes if each.status == "known"
            ],
            "skipped": list(dict.fromkeys(f"  {each.message}" for each in outcomes if each.status == "skipped")),
        }
        if output.json:
            output.result(
                {
                    "plugin": options.plugin,
                    "counts": dict(counts),
                    "checks": [vars(outcome) for outcome in outcomes if outcome.status != "passed"],
                }
            )
        for status, told in lines.items():
            if told:
                output.say(f"{status}:")
                output.say("\n".join(told))
        ending = ", ".join(f"{counts[status]} {status}" for status in ("failed", "known", "skipped") if counts[status])
        output.say(
            f"{options.plugin}: {counts['passed']} of {counted(total, 'check')} passed{ending and f'; {ending}'}"
        )
        if counts["failed"]:
            raise CheckFailed(f"plugin {options.plugin}: {counted(counts['failed'], 'check')} failed")
        return 0
