"""The linter `mynet`."""

from __future__ import annotations

from collections.abc import Iterator

from qcore_kit.checks import Documented, Hit, Rule, Severity, Subject

LIMIT = 100 * 2**20


class TooLarge(Documented):
    """A file of more than 100 MiB.

    Why: the device has no more memory for a model.

    Fix: quantize it, or train a smaller variant.
    """

    id = "MYNET001"
    severity: Severity = "error"
    hint = "qcore quantize MODEL --calib images/ --quantizer onnxruntime -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """The file, if it is too large."""
        size = subject.path.stat().st_size
        if size > LIMIT:
            yield Hit("", f"the file has {size / 2**20:.0f} MiB")


class Mynet:
    """One rule."""

    def rules(self) -> list[Rule]:
        """In the order in which they are asked."""
        return [TooLarge()]
