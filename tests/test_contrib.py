"""Distributions in contrib that need what the tests have anyway: listed, checked, and their own tests pass."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def environment(tmp_path):
    """The variables under which a distribution is found as if it were installed."""

    def of(name):
        folder = ROOT / "contrib" / name
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info = tmp_path / f"{name.replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n")
        groups = (
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
            for group, points in project["entry-points"].items()
        )
        (info / "entry_points.txt").write_text("\n".join(groups))
        path = os.pathsep.join([str(tmp_path), str(folder / "src"), *sys.path])
        return folder, {**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}

    return of


@pytest.mark.parametrize("name", ["qcore-pointpillars", "qcore-ultralytics"])
def test_a_distribution_holds_to_what_is_asked_and_to_its_own_tests(environment, name):
    folder, variables = environment(name)
    plugin = name.removeprefix("qcore-")
    own = ["pytest", "-q", "-p", "no:cacheprovider", "-c", str(folder / "pyproject.toml"), str(folder / "tests")]
    for call in (["qcore", "check-plugin", plugin], own):
        ran = subprocess.run(
            [sys.executable, "-m", *call], capture_output=True, text=True, check=False, env=variables, cwd=folder
        )
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
