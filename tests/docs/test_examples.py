"""What the documentation shows, runs."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import qcore
from qcore.host.hooks import Hooks
from qcore.host.specs import KINDS
from qcore.plugin import Contract

ROOT = Path(__file__).resolve().parents[2]
HOOKS = sorted(name for name in vars(Hooks) if name.startswith("qcore_"))


def code(text):
    return re.findall(r"```python\n(.*?)```", inspect.cleandoc(text), re.DOTALL)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_each_hook_is_a_plugin(hook):
    (example,) = code(getattr(Hooks, hook).__doc__)
    module = ModuleType("example")
    exec(compile(example, hook, "exec"), vars(module))
    plugins = qcore.Host(entry_points=False)
    plugins.register(module)
    (entry,) = plugins.components()
    assert f"qcore_{entry.spec.kind}s" == hook
    assert [plugin.status for plugin in plugins.plugins()] == ["ok"]


def test_there_is_a_hook_for_each_kind():
    assert sorted(f"qcore_{kind.kind}s" for kind in KINDS) == HOOKS


def test_the_hooks_page_names_every_hook():
    page = (ROOT / "docs" / "hooks.md").read_text()
    assert [hook for hook in HOOKS if f"`{hook}`" not in page] == []


def test_own_loader_and_backend_with_a_bundled_quantizer():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "own_parts.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "20 of 20 squares found in qdq" in done.stdout


def test_the_contract_in_the_docs_is_one():
    (text,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "contract.md").read_text(), re.DOTALL)
    contract = Contract.from_json(text)
    assert contract.to_dict() == json.loads(text)
    assert {"inputs", "outputs", "preprocess", "postprocess", "classes", "provenance", "extensions"} <= set(
        json.loads(text)
    )
