"""`qcore snippet`."""

from __future__ import annotations

import argparse

from qcore.plugin import Host, Output


class Snippet:
    """Prints a script that runs a file without qcore."""

    example = "qcore snippet out/yolov5n.onnx > detect.py"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """The file."""
        parser.add_argument("model", help="an exported file")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Print it."""
        from qcore_plugins.tools.snippet.snippet import snippet

        text = snippet(options.model, host)
        if output.json:
            output.result({"file": options.model, "script": text})
        output.say(text.rstrip())
        return 0
