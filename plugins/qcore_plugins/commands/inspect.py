"""`qcore inspect`."""

from __future__ import annotations

import argparse

from qcore.plugin import Host, Output
from qcore_kit import commandline


def run(options: argparse.Namespace, output: Output, host: Host) -> int:
    """`qcore inspect`."""
    from qcore.plugin import recognise
    from qcore_kit.describing import facts

    model = commandline.begin(options, output, host).model("loaded")
    spec, _ = recognise(options.model, host)
    rows = {"file": options.model, "format": spec.name, **facts(model)}
    if output.json:
        provenance = model.contract.provenance
        rows |= {key: provenance[key] for key in ("quantization", "calibration") if provenance.get(key)}
        output.result({**rows, "contract": model.contract.to_dict()})
    else:
        output.table("", ("", ""), [(name, value) for name, value in rows.items() if value not in (None, "")])
    return 0


class Inspect:
    """Tells what is in a model file."""

    example = "qcore inspect yolov5n.pt"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """What it takes."""
        commandline.add_model(parser)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Look inside."""
        return run(options, output, host)
