"""Whatever a plugin does, it ends up as a row and the others go on."""

from dataclasses import dataclass
from importlib import metadata
from types import SimpleNamespace
from typing import ClassVar

import pytest

from qcore import Host
from qcore.plugin import (
    BackendSpec,
    ConverterSpec,
    Form,
    FormatSpec,
    Option,
    PluginError,
    QuantizerSpec,
    Requirement,
    Spec,
    UsageError,
    hookimpl,
)


def plugin(**hooks):
    return SimpleNamespace(**{name: hookimpl(hook) for name, hook in hooks.items() if callable(hook)})


def backend(name="mine", **more):
    return BackendSpec(name=name, summary="mine", factory=object, accepts=(Form("x"),), **more)


@pytest.fixture
def plugins():
    return Host(entry_points=False)


def test_a_registered_plugin_is_found_by_name(plugins):
    plugins.register(plugin(qcore_backends=lambda: [backend()]), name="script")
    assert plugins.get(BackendSpec, "mine").summary == "mine"
    assert plugins.get(BackendSpec, "script:mine").summary == "mine"


def test_a_misspelt_component_name_is_answered_with_the_nearest(plugins):
    plugins.register(plugin(qcore_backends=lambda: [backend("onnxruntime")]), name="script")
    with pytest.raises(UsageError, match="did you mean onnxruntime"):
        plugins.get(BackendSpec, "onnxruntim")


def test_an_object_is_as_good_as_a_name(plugins):
    class Mine:
        spec = backend()

    thing = Mine()
    assert plugins.get(BackendSpec, thing).factory is thing
    with pytest.raises(UsageError, match="expected a backend"):
        plugins.get(BackendSpec, object())


def test_a_mistyped_hook_is_named_with_the_right_one(plugins):
    with pytest.raises(PluginError, match="unknown hook qcore_backend; did you mean qcore_backends"):
        plugins.register(plugin(qcore_backend=lambda: ()), name="script")
    assert [(row["kind"], row["name"], row["status"]) for row in plugins.rows()] == [("plugin", "script", "broken")]


def test_a_hook_that_fails_is_a_row_and_others_work(plugins):
    def fails():
        raise RuntimeError("no luck")

    with pytest.raises(PluginError, match="no luck"):
        plugins.register(plugin(qcore_backends=fails), name="bad")
    plugins.register(plugin(qcore_backends=lambda: [backend()]), name="good")
    assert {row["name"]: row["status"] for row in plugins.rows()} == {"mine": "ok", "bad": "broken"}


def test_two_components_of_one_name_are_a_conflict_with_two_qualified_names(plugins):
    for name in ("one", "two"):
        plugins.register(plugin(qcore_backends=lambda: [backend()]), name=name)
    assert [row["status"] for row in plugins.rows()] == ["conflict", "conflict"]
    with pytest.raises(UsageError, match="one and two") as caught:
        plugins.get(BackendSpec, "mine")
    assert caught.value.hint.startswith("use a qualified name: one:mine or two:mine; or leave one")
    assert plugins.get(BackendSpec, "two:mine")


def test_a_plugin_for_another_api_is_incompatible(plugins):
    made = plugin(qcore_backends=lambda: [backend()])
    made.qcore_api = "99"
    with pytest.raises(PluginError, match="API 99"):
        plugins.register(made, name="future")
    assert plugins.rows()[0]["status"] == "incompatible"
    assert not plugins.components()


def test_what_is_missing_comes_with_the_command_that_installs_it(plugins):
    needs = Requirement("surely_absent_module", "surely-absent", ">=2")
    ours = Requirement("surely_absent_module", "surely-absent", extra="torch")
    specs = [backend("theirs", requires=(needs,)), backend("ours", requires=(ours,))]
    plugins.register(plugin(qcore_backends=lambda: specs), name="script")
    hints = {row["name"]: (row["status"], row["hint"]) for row in plugins.rows()}
    assert hints == {
        "theirs": ("missing", "pip install 'surely-absent>=2'"),
        "ours": ("missing", "pip install 'qcore-quant[torch]'"),
    }


def test_a_hook_that_gives_something_else_is_reported(plugins):
    with pytest.raises(PluginError, match="gave a str, not a FormatSpec"):
        plugins.register(plugin(qcore_formats=lambda: ["onnx"]), name="script")


def test_unknown_options_and_bad_values_are_refused():
    spec = QuantizerSpec(
        name="q", summary="", factory=object, accepts=(), produces=Form("x"),
        options=(Option("bits", "", 8, int, (4, 8)), Option("fast", "", False, bool)),
    )  # fmt: skip
    assert spec.settings({"bits": "4", "fast": "yes"}) == {"bits": 4, "fast": True}
    for given, words in (
        ({"bit": 4}, "unknown option bit"),
        ({"bits": "x"}, "not a int"),
        ({"bits": 5}, "not one of 4, 8"),
    ):
        with pytest.raises(UsageError, match=words):
            spec.settings(given)


def test_disabled_plugins_are_listed_as_such(monkeypatch):
    monkeypatch.setenv("QCORE_DISABLE_PLUGINS", "onnx")
    rows = {(row["kind"], row["name"]): row["status"] for row in Host().rows()}
    assert rows["plugin", "onnx"] == "disabled"
    assert ("format", "onnx") not in rows
    assert rows["backend", "onnxruntime"] == "ok"


def test_every_bundled_component_is_usable_here():
    rows = Host().rows()
    assert {row["api"] for row in rows} == {"1"}
    assert {row["status"] for row in rows} == {"ok"}, [row for row in rows if row["status"] != "ok"]
    assert {kind.kind for kind in (BackendSpec, ConverterSpec, FormatSpec, QuantizerSpec)} <= {
        row["kind"] for row in rows
    }


def test_a_further_kind_has_a_hook_of_its_own(plugins, monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class PackagerSpec(Spec):
        """Puts files into a package."""

        kind: ClassVar[str] = "packager"
        system: str

    point = SimpleNamespace(name="mine", value="mine", dist=None, load=lambda: SimpleNamespace(KINDS=(PackagerSpec,)))
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == "qcore.kinds" else [])
    deb = PackagerSpec(name="deb", summary="Debian packages", factory=object, system="debian")
    plugins.register(plugin(qcore_packagers=lambda: [deb]), name="script")
    assert plugins.get(PackagerSpec, "deb") == deb
    assert plugins.kinds()[-1] is PackagerSpec


def test_a_kind_that_is_there_already_is_a_row(plugins, monkeypatch):
    point = SimpleNamespace(name="mine", value="mine", dist=None, load=lambda: SimpleNamespace(KINDS=(BackendSpec,)))
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == "qcore.kinds" else [])
    assert [(row["name"], row["hint"]) for row in plugins.rows()] == [("mine", "there is a kind backend already")]


def test_a_bad_spec_is_a_row_and_what_the_hook_yields_after_it_is_there(plugins):
    def backends():
        yield backend("before")
        yield backend("two words")
        yield BackendSpec(name="empty", summary="nobody carries it", accepts=(Form("x"),))
        yield backend("after")

    with pytest.raises(PluginError, match="name has to be a word"):
        plugins.register(plugin(qcore_backends=backends), name="script")
    assert [spec.name for spec in plugins.components()] == ["before", "after"]
    assert [row["hint"] for row in plugins.rows() if row["status"] == "broken"] == [
        "backend 'two words': name has to be a word without spaces, colons and commas",
        "backend empty has no factory",
    ]


def test_whatever_a_plugin_raises_the_others_go_on(plugins):
    class Raising:
        @property
        def spec(self):
            raise RuntimeError("no spec today")

    class Evasive:
        def __getattr__(self, name):
            raise RuntimeError("no attributes today")

    def leaving():
        raise SystemExit(3)

    plugins.register(plugin(qcore_backends=lambda: [backend()]), name="good")
    for name, bad in (
        ("exits", plugin(qcore_backends=leaving)),
        ("raises", plugin(qcore_backends=lambda: [Raising()])),
        ("evades", Evasive()),
    ):
        with pytest.raises(PluginError, match=f"plugin {name}: "):
            plugins.register(bad, name=name)
    assert [row["name"] for row in plugins.rows() if row["status"] == "ok"] == ["mine"]
    assert sorted(row["name"] for row in plugins.rows() if row["status"] == "broken") == ["evades", "exits", "raises"]
