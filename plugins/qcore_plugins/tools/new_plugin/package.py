"""The files of a package with one plugin."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcore.plugin import Host, Spec, UsageError, meant, output_directory, publish

TEMPLATES = Path(__file__).parent / "templates"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

PYPROJECT = """[build-system]
requires = ["hatchling>=1.26"]
build-backend = "hatchling.build"

[project]
name = "qcore-{name}"
version = "0.1.0"
description = "The {kind} {name} for qcore"
readme = "README.md"
license = "MIT"
license-files = ["LICENSE"]
requires-python = ">=3.11"
dependencies = ["qcore-quant"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points.qcore]
{name} = "{package}"

[project.entry-points."qcore.conformance"]
{name} = "{package}.conformance"

[tool.hatch.build.targets.wheel]
packages = ["src/{package}"]
"""
README = """# qcore-{name}

The {kind} `{name}` for [qcore](https://pypi.org/project/qcore-quant/).

```
pip install -e .
qcore list-plugins --kind {kind}
qcore check-plugin {name}
pytest
```

| file | what is in it |
|---|---|
| `src/{package}/__init__.py` | what the plugin says of its components; nothing heavy is imported here |
| `src/{package}/component.py` | the code |
| `src/{package}/conformance.py` | examples, with which `qcore check-plugin` and the tests try the code |
| `tests/test_{module}.py` | the conformance checks under pytest, and your own tests |
"""
LICENSE = """MIT License

Copyright (c) the authors of qcore-{name}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
TESTS = '''"""The conformance checks, and what else this plugin promises."""

from qcore.plugin import {spec}

import qcore
from {package}.conformance import *  # noqa: F403 - pytest runs the classes


def test_it_is_listed():
    assert "{name}" in [spec.name for spec in qcore.plugins.specs({spec})]
'''
WORKFLOW = """name: test
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install -e '.[test]'
      - run: qcore check-plugin {name}
      - run: pytest
"""


def write_package(name: str, kind: str, folder: Path, host: Host) -> Path:
    """Write a package `qcore-NAME` into a folder; gives its own.

    The code is a template of the kind. For a kind that somebody else's plugin brings, it is the example in the
    docstring of its spec.

    Raises:
        FileError: The folder cannot be written to.
        UsageError: The name is no name, an unknown kind, or the package is there already.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is not a name for a plugin", hint="use small letters, digits and single hyphens, e.g. my-net"
        )
    kinds = {each.kind: each for each in host.kinds()}
    if kind not in kinds:
        raise UsageError(f"unknown kind {kind!r}{meant(kind, kinds)}", hint=f"kinds: {', '.join(sorted(kinds))}")
    if taken := [plugin for plugin in host.plugins() if plugin.name == name]:
        raise UsageError(f"a plugin named {taken[0]} is installed already", hint="choose another name")
    target = output_directory(folder) / f"qcore-{name}"
    if target.exists():
        raise UsageError(f"{target} exists already", hint="choose another name or -o DIR")
    files = _files(name, kinds[kind])

    def write(staging: Path) -> list[Path]:
        for path, text in files.items():
            file = staging / target.name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return [staging / target.name]

    publish(folder, write)
    return target


def _files(name: str, kind: type[Spec[Any]]) -> Mapping[str, str]:
    module = name.replace("-", "_")
    package = f"qcore_{module}"
    values = {"name": name, "module": module, "package": package, "kind": kind.kind, "spec": kind.__name__}
    template = TEMPLATES / kind.kind
    code = _from_template(template, name) if template.is_dir() else _from_docstring(kind, name)
    tests = TESTS.format(**values)
    home = kind.__module__.partition(".")[0]
    if home != "qcore":
        tests = tests.replace("from qcore.plugin import", f"from {kind.__module__} import")
    return {
        "pyproject.toml": PYPROJECT.format(**values),
        "README.md": README.format(**values),
        "LICENSE": LICENSE.format(**values),
        ".github/workflows/test.yml": WORKFLOW.format(**values),
        f"tests/test_{module}.py": tests,
        f"src/{package}/py.typed": "",
        **{f"src/{package}/{file}": text for file, text in code.items()},
    }


def _from_template(folder: Path, name: str) -> dict[str, str]:
    """The files of a template, in which everything is called Mynet."""
    called = "".join(part.title() for part in name.split("-"))
    module = name.replace("-", "_")
    return {
        file.name: file.read_text(encoding="utf-8")
        .replace("qcore_mynet", f"qcore_{module}")
        .replace('"mynet_', f'"{module}_')
        .replace("mynet", name)
        .replace("MYNET", module.upper().replace("_", ""))
        .replace("Mynet", called)
        for file in sorted(folder.glob("*.py"))
    }


def _from_docstring(kind: type[Spec[Any]], name: str) -> dict[str, str]:
    """The example of a kind of somebody else's, under another name.

    Raises:
        UsageError: Its docstring has none.
    """
    found = re.search(r"```python\n(.*?)```", inspect.getdoc(kind) or "", re.DOTALL)
    if found is None:
        raise UsageError(
            f"the kind {kind.kind} has no example to begin with", hint=f"ask the authors of {kind.__module__}"
        )
    code = re.sub(r"""name=(["'])[^"']+\1""", f'name="{name}"', found[1], count=1)
    called = "".join(part.title() for part in name.split("-"))
    conformance = (
        '"""Examples for the conformance checks: there are none for this kind yet."""\n\n'
        "from qcore.testing import Conformance\n\n\n"
        f'class Test{called}(Conformance):\n    """What is declared."""\n\n'
        f'    kind = "{kind.kind}"\n    component = "{name}"\n'
    )
    head = f'"""The {kind.kind} `{name}`."""\n\n'
    return {"__init__.py": f'{head}{code.rstrip()}\n\n\nqcore_api = "1"\n', "conformance.py": conformance}
