"""Packages of `qcore new-plugin`, as if they were installed."""

import importlib
import sys
import tomllib
from types import SimpleNamespace

import pytest

from qcore import Host
from qcore_plugins.tools.new_plugin.package import write_package


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that writes the package of a kind, changes its code, installs it, and gives its host and folder."""
    folder = tmp_path / "packages"
    site = tmp_path / "site"
    site.mkdir()
    written = []

    def install(kind, name="tried", changed=()):
        package = write_package(name, kind, folder, Host())
        for old, new in changed:
            files = sorted((package / "src").rglob("*.py"))
            fitting = [file for file in files if old in file.read_text()]
            assert fitting, f"{old!r} is nowhere in the package of kind {kind}"
            for file in fitting:
                file.write_text(file.read_text().replace(old, new))
        project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
        info = site / f"{project['name'].replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
        groups = (
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
            for group, points in project["entry-points"].items()
        )
        (info / "entry_points.txt").write_text("\n".join(groups))
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.syspath_prepend(str(package / "src"))
        importlib.invalidate_caches()
        written.append(f"qcore_{name}")
        return SimpleNamespace(host=Host(), folder=package, name=name)

    yield install
    for name in [name for name in sys.modules if name.partition(".")[0] in written]:
        del sys.modules[name]
