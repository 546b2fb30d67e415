"""The hooks that a plugin can implement: one for each kind of component, `qcore_<kind>s`.

Every hook takes nothing and returns an iterable of specs, or of classes and objects with an attribute `spec`; it
imports nothing heavy. A plugin is a module or an object with functions of these names marked with `hookimpl`, installed
under the entry-point group `qcore`. The docstring of a kind's spec class holds a whole plugin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from qcore.host.specs import Spec

PROJECT = "qcore"
API_VERSION = "1"
"""What a plugin was made for, as its `qcore_api`. Within a number the public surface is only added to; what is to go is
refused by name for two minor versions before it does. Another number makes a plugin `incompatible`; without one it is
listed as made for `unknown`, and used."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def hooks_of(kinds: Iterable[type[Spec[Any]]]) -> type:
    """A class with the hook of each kind."""

    def named(kind: type[Spec[Any]]) -> Any:
        def hook(self: Any) -> Any:
            """Components of this kind."""

        hook.__name__ = f"qcore_{kind.kind}s"
        return hookspec(hook)

    return type("Hooks", (), {f"qcore_{kind.kind}s": named(kind) for kind in kinds})
