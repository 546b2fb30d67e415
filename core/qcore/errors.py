"""What can go wrong, as one tree.

    QcoreError                 5   anything else a plugin or a step reports
    ├── CheckFailed            1   a verification ran and said no
    ├── UsageError             2   the call itself is off (flag, name, value)
    ├── MissingDependency      3   a package that a component needs is not installed
    │   └── MissingDevice      3   or a device, such as a GPU, is not there
    ├── NoRoute                4   no chain of converters leads from here to there
    ├── PluginError            5   a plugin broke its side of the agreement
    └── FileError              6   a file is absent, damaged, foreign or cannot be written

The number is the exit code of the command line.
"""

from __future__ import annotations

from typing import ClassVar


class QcoreError(Exception):
    """An error a user can act on.

    Attributes:
        message: One line: what is wrong, with which file or component.
        hint: One line: what to run or change, or None where nothing helps.
        code: Exit code of the command line.
    """

    code: ClassVar[int] = 5

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CheckFailed(QcoreError):
    """A verification ran and its verdict is no."""

    code = 1


class UsageError(QcoreError):
    """The call cannot be carried out as written."""

    code = 2


class MissingDependency(QcoreError):
    """A component needs a package that is not installed."""

    code = 3


class MissingDevice(MissingDependency):
    """A component needs hardware that this machine lacks."""


class NoRoute(QcoreError):
    """No chain of components leads from the given form to the wanted one."""

    code = 4


class PluginError(QcoreError):
    """A plugin could not be loaded or broke its protocol."""

    code = 5


class FileError(QcoreError):
    """A file is absent, damaged, foreign, or cannot be written."""

    code = 6


class AssumptionWarning(UserWarning):
    """Something was assumed that the file does not say; the message names it and how to change it."""
