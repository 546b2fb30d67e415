"""Examples for the conformance checks."""

from qcore_kit.testing import TunerConformance


class TestMynet(TunerConformance):
    """The tuner."""

    component = "mynet"
