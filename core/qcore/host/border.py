"""The border between qcore and plugins: whatever breaks on the other side is told with its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar

from qcore.errors import FileError, PluginError, QcoreError
from qcore.files import FULL

if TYPE_CHECKING:
    from qcore.host.specs import Spec

T = TypeVar("T")
MEMORY = re.compile(r"out of memory|allocate memory|bad.alloc|insufficient memory|unable to allocate", re.IGNORECASE)
"""What libraries say when an allocation fails."""


def called(spec: Spec[Any], function: Callable[..., T], *args: Any, doing: str = "", **more: Any) -> T:
    """What a function of a component returns.

    Args:
        spec: Of the component.
        function: To call with the other arguments.
        *args: As they are.
        doing: Name of the function in an error; its own by default.
        **more: As they are.

    Raises:
        PluginError: Whatever it raises but `QcoreError`s, which components raise on purpose, and a full disk's OSError;
            QcoreError where memory is short.
    """
    try:
        value = function(*args, **more)
    except (QcoreError, BrokenPipeError):
        raise
    except Exception as error:
        raise _told(spec, doing or getattr(function, "__name__", "call"), error) from error
    return _each(spec, doing, value) if isinstance(value, GeneratorType) else value  # type: ignore[return-value]


def _each(spec: Spec[Any], doing: str, items: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from items
    except (QcoreError, BrokenPipeError):
        raise
    except Exception as error:
        raise _told(spec, doing, error) from error


def _told(spec: Spec[Any], doing: str, error: Exception) -> QcoreError:
    words = str(error).strip().splitlines()
    if isinstance(error, OSError) and error.errno in FULL:
        raise error  # who asked for the file names it
    if words and "No usable temporary directory" in words[0]:
        return FileError("no folder for temporary files can be written to", hint="set TMPDIR to one")
    if isinstance(error, MemoryError) or MEMORY.search(words[0] if words else ""):
        return QcoreError(f"not enough memory ({spec.kind} {spec.name})", hint="choose a smaller input or batch size")
    what = f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
    return PluginError(
        f"{spec.kind} {spec.name} of plugin {spec.plugin or 'unknown'} failed in {doing} ({what})",
        hint="--debug shows where; report it to the plugin's authors",
    )


class Guarded:
    """A component, or what it made, behind the border: every call of its methods goes through `called`.

    Attributes that are no methods are the component's own; `isinstance` with a `runtime_checkable` protocol asks for
    those, too.
    """

    __slots__ = ("__dict__", "_component", "_spec")

    def __init__(self, spec: Spec[Any], component: Any) -> None:
        self._spec, self._component = spec, component

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The component's: interfaces are asked of it."""
        return type(self._component)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        spec = self._spec
        try:
            value = getattr(self._component, name)
        except (AttributeError, QcoreError):
            raise
        except Exception as error:
            raise _told(spec, name, error) from error
        if not callable(value) or isinstance(value, type):
            return value

        def method(*args: Any, **more: Any) -> Any:
            return called(spec, value, *args, doing=name, **more)

        method.__name__, method.__doc__ = name, getattr(value, "__doc__", None)
        self.__dict__[name] = method
        return method

    def __call__(self, *args: Any, **more: Any) -> Any:
        """Call the component itself."""
        return called(self._spec, self._component, *args, doing="call", **more)

    def __repr__(self) -> str:
        return repr(self._component)


def guarded(spec: Spec[Any], component: T) -> T:
    """The component behind the border; of something that it made, too, such as a session."""
    return component if isinstance(component, Guarded) else Guarded(spec, component)  # type: ignore[return-value]
