"""A new package works as it is."""

import subprocess
import sys

import pytest

import qcore
from qcore import Host
from qcore.cli import main
from qcore.plugin import UsageError
from qcore.testing import conformance_of, run_checks
from qcore_plugins.tools.new_plugin.package import write_package

KINDS = sorted(kind.kind for kind in Host().kinds())


@pytest.fixture(autouse=True)
def own_host(monkeypatch):
    """Checks look in the process's host, which does not know what is installed while it runs."""
    from qcore.testing import Conformance

    monkeypatch.setattr(Conformance, "host", Host())


@pytest.mark.parametrize("kind", KINDS)
def test_the_package_of_each_kind_passes_every_check(installed, kind):
    package = installed(kind)
    outcomes = list(run_checks(conformance_of(package.name, package.host)))
    assert [outcome.message for outcome in outcomes if outcome.status != "passed"] == []
    assert len(outcomes) > 4, "more than the declaration was checked"
    assert kind in {spec.kind for spec in package.host.components() if spec.plugin == package.name}


def test_a_package_is_complete(installed):
    folder = installed("backend", "tried-more").folder
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", "LICENSE", ".github/workflows/test.yml", "tests/test_tried_more.py"} <= files
    assert {f"src/qcore_tried_more/{name}" for name in ("__init__.py", "component.py", "conformance.py")} <= files
    text = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "mynet" not in text.lower()


def test_its_own_tests_pass(installed):
    """As its author runs them: in a process of its own, with pytest and nothing of this suite."""
    package = installed("postprocessor")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package.folder / "tests")],
        capture_output=True,
        text=True,
        check=False,
        cwd=package.folder,
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path)},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "failed" not in ran.stdout


def test_a_kind_of_a_guest_begins_with_its_docstring(tmp_path):
    from dataclasses import dataclass
    from typing import Any, ClassVar

    from qcore.plugin import Spec

    @dataclass(frozen=True, kw_only=True)
    class PackagerSpec(Spec[Any]):
        """Puts a file into a package.

        ```python
        from qcore.plugin import hookimpl

        class Zip:
            def pack(self, path): ...

        @hookimpl
        def qcore_packagers():
            yield PackagerSpec(name="zip", summary="Zip files", factory=Zip)
        ```
        """

        kind: ClassVar[str] = "packager"

    host = Host(entry_points=False)
    host._kinds.append(PackagerSpec)
    folder = write_package("boxed", "packager", tmp_path, host)
    code = (folder / "src/qcore_boxed/__init__.py").read_text()
    assert 'PackagerSpec(name="boxed"' in code
    assert 'qcore_api = "1"' in code


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("My Net", "loader", "is not a name for a plugin"),
        ("class", "loader", "is not a name for a plugin"),
        ("mine", "loder", "did you mean loader"),
        ("onnxruntime", "backend", "is installed already"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, name, kind, told):
    with pytest.raises(UsageError, match=told):
        write_package(name, kind, tmp_path, qcore.plugins)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    folder = write_package("mine", "loader", tmp_path, qcore.plugins)
    (folder / "README.md").write_text("my own")
    with pytest.raises(UsageError, match="exists already"):
        write_package("mine", "backend", tmp_path, qcore.plugins)
    assert (folder / "README.md").read_text() == "my own"


def test_the_command_says_what_to_run_next(tmp_path, capsys):
    assert main(["new-plugin", "mine", "--kind", "layout", "-o", str(tmp_path)]) == 0
    assert "qcore check-plugin mine" in capsys.readouterr().out


def test_check_plugin_tells_failures_and_ends_with_one(installed, monkeypatch, capsys):
    package = installed("layout", changed=[("rows[..., -4:], rows[..., :-4]", "rows[..., :-4], rows[..., -4:]")])
    monkeypatch.setattr("qcore.plugins", package.host)
    monkeypatch.setattr("qcore.cli.frame.installed", package.host, raising=False)
    assert main(["check-plugin", "letterbox"]) == 0
    capsys.readouterr()
    code = main(["check-plugin", package.name])
    told = capsys.readouterr()
    assert code == 1
    assert "give [B, N, 4] and [B, N, C]" in told.out
