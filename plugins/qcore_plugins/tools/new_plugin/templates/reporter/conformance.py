"""Examples for the conformance checks."""

from qcore_kit.testing import ReporterConformance


class TestMynet(ReporterConformance):
    """The reporter."""

    component = "mynet"
