"""The backend's part of `qcore snippet`."""

from pathlib import Path

from qcore.plugin import Model
from qcore_kit.scripts import template


def source(model: Model) -> str:
    """The text that loads a file and runs it."""
    contract = model.contract
    values = {
        "BLOBS": dict(model.module.blobs),
        "INPUTS": [tensor.name for tensor in contract.inputs],
        "OUTPUTS": [tensor.name for tensor in contract.outputs],
    }
    return template(Path(__file__).with_name("script.py"), values)
