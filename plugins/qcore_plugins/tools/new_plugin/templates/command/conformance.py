"""Examples for the conformance checks."""

from qcore.testing import CommandConformance


class TestMynet(CommandConformance):
    """The command."""

    component = "mynet"
