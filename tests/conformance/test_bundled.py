"""Every bundled component, and those in contrib that need nothing else, hold to what is asked of plugins."""

import pytest

import qcore
from qcore.plugin import DISTRIBUTION
from qcore.testing import conformance_of, run_checks
from qcore.testing.run import Conformance

PLUGINS = [plugin.name for plugin in qcore.plugins.plugins() if plugin.distribution == DISTRIBUTION]
CLASSES = [
    pytest.param(checks, id=f"{plugin}-{checks.kind}-{checks.component.rpartition(':')[2]}")
    for plugin in PLUGINS
    for checks in conformance_of(plugin)
]
EXAMPLES_ELSEWHERE = {"yolov9", "yolonas", "tensorrt", "onnx-tensorrt", "tensorrt-onnx"}
"""Loaders whose checkpoints the tests of the family make, and what runs where an NVIDIA GPU is."""


@pytest.mark.parametrize("checks", CLASSES)
def test_component(checks: type[Conformance]):
    outcomes = list(run_checks([checks]))
    assert [outcome.message for outcome in outcomes if outcome.status == "failed"] == []
    name = checks.component.rpartition(":")[2]
    if name not in EXAMPLES_ELSEWHERE:
        missing = [outcome.message for outcome in outcomes if outcome.status == "skipped"]
        assert [message for message in missing if message.startswith("override")] == []
