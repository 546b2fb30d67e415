"""Kinds of components that the kit adds to the core's, through the entry-point group `qcore.kinds`.

It is imported whenever plugins are listed, so it imports nothing but `qcore.plugin`.
"""

from __future__ import annotations

from qcore.plugin import Spec

KINDS: tuple[type[Spec], ...] = ()
