"""What `pytest --pyargs qcore.testing --qcore-plugin NAME` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qcore.testing.run import checks_of, conformance_of


def pytest_generate_tests(metafunc: Any) -> None:
    """One test a check of each component."""
    found = []
    for plugin in metafunc.config.getoption("--qcore-plugin"):
        for checks in conformance_of(plugin):
            for name in checks_of(checks):
                reason = checks.known_failures.get(name)
                marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
                label = f"{checks.kind}-{checks.component}-{name.removeprefix('test_')}"
                found.append(pytest.param(checks, name, id=label, marks=marks))
    metafunc.parametrize(("checks", "name"), found)


def test_component(checks: Any, name: str, request: pytest.FixtureRequest) -> None:
    """The check holds."""
    import inspect

    method = getattr(checks(), name)
    folder: Path = request.getfixturevalue("tmp_path")
    method(*([folder] if "tmp_path" in inspect.signature(method).parameters else []))
