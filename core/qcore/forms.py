"""Forms: what an object is technically, so that routes can be planned without opening it."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Form:
    """A format and the attributes that decide whether a runtime takes it.

    A field left None says nothing: as a description it is unknown, as a pattern it matches everything.

    Attributes:
        format: Name of the format, e.g. the one a format component registers.
        encoding: `float`, `qdq`, `native`, or another word that a plugin agrees on with its peers.
        activation: Integer type of quantized activations (`s8`, `u8`).
        symmetric: Whether activation zero points are the middle of the range.
        precision: Type of everything that is not quantized (`f32`, `f16`).
        profile: Name of the runtime profile the quantized graph was written for.
        head: How far the graph goes, where a converter changes that, e.g. `nms`.
    """

    format: str
    encoding: str | None = None
    activation: str | None = None
    symmetric: bool | None = None
    precision: str | None = None
    profile: str | None = None
    head: str | None = None

    def accepts(self, other: Form) -> bool:
        """Whether `other` fits this form read as a pattern."""
        return all(getattr(self, field.name) in (None, getattr(other, field.name)) for field in fields(self))

    def __str__(self) -> str:
        words = [
            self.encoding,
            self.activation,
            {True: "symmetric", False: "asymmetric", None: None}[self.symmetric],
            self.precision,
            f"profile {self.profile}" if self.profile else None,
            f"head {self.head}" if self.head else None,
        ]
        listed = ", ".join(word for word in words if word)
        return f"{self.format} ({listed})" if listed else self.format
