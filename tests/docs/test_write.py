"""The pages on writing a plugin: what they make is made, and holds to what is asked."""

import importlib
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from qcore import Host
from qcore.cli import main
from qcore.testing import Conformance, conformance_of, run_checks

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "write").glob("*.md"))


def calls(page, command):
    """The lines of the page's shell blocks that call a command."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    return [shlex.split(line) for line in "".join(blocks).splitlines() if line.startswith(f"qcore {command}")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_makes_passes_its_checks(page, tmp_path, monkeypatch, capsys):
    made = calls(page, "new-plugin")
    assert made, "every page begins with a package"
    names = []
    for _, *arguments in made:
        assert main([*arguments, "-o", str(tmp_path)]) == 0
        names.append(arguments[1])
        folder = tmp_path / f"qcore-{names[-1]}"
        points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
        info = tmp_path / f"qcore_{names[-1]}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: qcore-{names[-1]}\nVersion: 0.1.0\n")
        groups = (f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in each.items()) for group, each in points.items())
        (info / "entry_points.txt").write_text("\n".join(groups))
        monkeypatch.syspath_prepend(str(folder / "src"))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    host = Host()
    monkeypatch.setattr(Conformance, "host", host)
    try:
        for name in names:
            outcomes = list(run_checks(conformance_of(name, host)))
            assert [each.message for each in outcomes if each.status != "passed"] == []
    finally:
        for module in [module for module in sys.modules if module.partition(".")[0] in {f"qcore_{n}" for n in names}]:
            del sys.modules[module]
    checked = {arguments[2] for arguments in calls(page, "check-plugin")}
    assert checked <= set(names)
    capsys.readouterr()
