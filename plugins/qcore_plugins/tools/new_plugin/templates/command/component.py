"""The command `mynet`."""

from __future__ import annotations

import argparse

from qcore.plugin import Host, Output


class Mynet:
    """Prints the tensors of a file."""

    example = "qcore mynet model.onnx"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """The file."""
        parser.add_argument("model", help="a checkpoint or an exported file")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Print them; under --json, one document."""
        import qcore

        contract = qcore.load(options.model).contract
        if output.json:
            output.result({"inputs": [each.to_dict() for each in contract.inputs]})
        for tensor in (*contract.inputs, *contract.outputs):
            output.say(f"{tensor.name}  {tensor.dtype} {list(tensor.shape)}")
        return 0
