"""A setting of a component, declared once: flag, validation, documentation and default come from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from qcore.errors import UsageError
from qcore.words import meant


@dataclass(frozen=True)
class Option:
    """A named setting of a component; one that is `local` says where something lies here, and is not recorded."""

    name: str
    help: str
    default: Any = None
    type: type = str
    choices: tuple[Any, ...] = ()
    local: bool = False

    def parse(self, value: Any) -> Any:
        """The value in the option's type.

        Raises:
            UsageError: It cannot be read as that type or is not among the choices.
        """
        try:
            if self.type is bool and isinstance(value, str):
                parsed: Any = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                    value.lower()
                ]
            elif value is None or isinstance(value, self.type):
                parsed = value
            elif self.type is tuple and isinstance(value, str):
                parsed = tuple(part.strip() for part in value.split(",") if part.strip())
            else:
                parsed = self.type(value)
        except (KeyError, TypeError, ValueError):
            raise UsageError(f"option {self.name}: {value!r} is not a {self.type.__name__}") from None
        if self.choices and parsed not in self.choices:
            names = [str(choice) for choice in self.choices]
            raise UsageError(
                f"option {self.name}: {parsed!r} is not one of {', '.join(names)}{meant(str(parsed), names)}"
            )
        return parsed


def declared_options(declared: Any) -> tuple[Option, ...]:
    """Options as a spec was given them: a tuple of `Option`s, or a frozen dataclass whose fields they are.

    A field gives name, type and default; `Literal` gives the choices, and the line of the field under `Attributes:` in
    the docstring, or `help` in its metadata, the help. A field without a default has None.

    Raises:
        TypeError: Something else.
    """
    if isinstance(declared, type) and is_dataclass(declared):
        return tuple(_of_fields(declared))
    options = tuple(declared)
    if wrong := [option for option in options if not isinstance(option, Option)]:
        raise TypeError(f"{wrong[0]!r} is no Option")
    if len({option.name for option in options}) < len(options):
        raise TypeError("two options have one name")
    return options


def _of_fields(declared: Any) -> Iterator[Option]:
    hints = get_type_hints(declared)
    told = dict(re.findall(r"^\s+(\w+): (.+)$", declared.__doc__ or "", re.MULTILINE))
    for field in fields(declared):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        kind, choices = _plain(hints[field.name])
        text = field.metadata.get("help") or told.get(field.name, field.name.replace("_", " ")).rstrip(".")
        yield Option(field.name, text, None if default is MISSING else default, kind, choices)


def _plain(hint: Any) -> tuple[type, tuple[Any, ...]]:
    """The type that a text is read as, and the choices."""
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0]), get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return _plain(next(part for part in get_args(hint) if part is not type(None)))
    origin = get_origin(hint) or hint
    return (origin if isinstance(origin, type) else str), ()
