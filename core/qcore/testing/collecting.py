"""For pytest: `--qcore-plugin NAME`, and known failures as expected ones."""

from __future__ import annotations

from typing import Any


def pytest_addoption(parser: Any) -> None:
    """The option."""
    parser.getgroup("qcore").addoption(
        "--qcore-plugin", action="append", default=[], metavar="NAME", help="check the components of a qcore plugin"
    )


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """A check in `known_failures` is expected to fail."""
    for item in items:
        known = getattr(getattr(item, "cls", None), "known_failures", None)
        name = getattr(item, "originalname", "")
        if known and name in known:
            import pytest

            item.add_marker(pytest.mark.xfail(reason=known[name], strict=True))
