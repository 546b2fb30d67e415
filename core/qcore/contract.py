"""The contract: what goes into a model, what comes out, and how both are to be handled.

It travels inside every file that qcore writes, as the JSON text under the key `qcore.contract`. This module is the
only place that reads and writes it. Fields that this version does not know are kept and written back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from qcore.errors import FileError, UsageError
from qcore.words import counted

KEY = "qcore.contract"
MAJOR, MINOR = 1, 0
DEPLOYED = "deployed"
"""As a protocol: the contract's own parameters."""

VALUES = 2**33
"""Most values of one tensor: a contract that asks for more is damaged or hostile."""
Dimension = int | str


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: Name of the tensor in the graph.
        dtype: NumPy name of the element type, e.g. `float32`.
        shape: Sizes; a dynamic dimension is a name such as `batch`.
        layout: Meaning of the axes of an input, e.g. `NCHW`.
        meaning: What an output holds, in the words of the postprocessor that reads it.
        stage: How far an output is processed: `raw`, `decoded`, or `nms`.
        attributes: Everything else that is said of it (stride, anchors, bins, ...).
        batch: Axis along which inputs lie side by side; None where the tensor holds one input, whatever its shape.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]
    layout: str | None = None
    meaning: str | None = None
    stage: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    batch: int | None = 0

    def __post_init__(self) -> None:
        """Refuse a batch that is no axis, and sizes that no memory holds; ValueError."""
        if self.batch is not None and not 0 <= self.batch < max(len(self.shape), 1):
            raise ValueError(f"batch is {self.batch}, not an axis of {list(self.shape)}")
        sizes = [size for size in self.shape if isinstance(size, int)]
        if any(size < 0 for size in sizes) or math.prod(sizes) > VALUES:
            raise ValueError(f"shape is {list(self.shape)}: a tensor has up to {VALUES} values")

    def sizes(self, axes: str) -> tuple[Dimension, ...]:
        """Sizes of the axes with these letters in the layout, e.g. `HW`; of the last axes where there is no layout."""
        layout = self.layout or ""
        if len(layout) != len(self.shape) or not set(axes) <= set(layout):
            return self.shape[-len(axes) :]
        return tuple(self.shape[layout.index(axis)] for axis in axes)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        described = {"layout": self.layout, "meaning": self.meaning, "stage": self.stage}
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            **{key: value for key, value in described.items() if value is not None},
            **({} if self.batch == 0 else {"batch": self.batch}),
            **self.attributes,
        }


@dataclass(frozen=True)
class Step:
    """A preprocessing or postprocessing component with its parameters; `unknown` keeps what a later version adds."""

    component: str
    params: Mapping[str, Any] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"component": self.component, "params": dict(self.params), **self.unknown}

    def updated(self, params: Mapping[str, Any]) -> Step:
        """The same step with some parameters replaced."""
        return Step(self.component, {**self.params, **params}, self.unknown)


@dataclass(frozen=True)
class Contract:
    """The whole agreement; see docs/contract.md for an annotated example.

    Attributes:
        task: Which kind of result the postprocessor gives; selects the evaluator.
        inputs: Input tensors in the graph's order.
        outputs: Output tensors in the graph's order.
        preprocess: How a raw input becomes the input tensor.
        postprocess: How output tensors become results.
        classes: Class names, in the order of the class index.
        provenance: Where the model came from and what was done to it.
        protocols: Named sets of parameter overrides for evaluation: name -> {"preprocess": {}, "postprocess": {}}.
        extensions: What plugins keep for themselves, by plugin name.
        unknown: Top-level fields of a later minor version, kept as they are.
    """

    task: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    preprocess: Step
    postprocess: Step
    classes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    protocols: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)
    version: str = f"{MAJOR}.{MINOR}"

    def __repr__(self) -> str:
        inputs = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in self.inputs)
        return f"Contract({self.task}, {inputs}, {counted(len(self.classes), 'class')})"

    @classmethod
    def from_json(cls, text: str, *, source: str = "contract") -> Contract:
        """Parse the JSON text; `source` is what to call it in errors, usually the file that it came from.

        Raises:
            FileError: Not JSON, a field missing or of the wrong kind, or another major version.
        """
        try:
            data = json.loads(text)
            json.dumps(data, ensure_ascii=False).encode()  # half a character cannot be written again
        except (ValueError, RecursionError) as error:
            raise FileError(f"{source}: the contract is not valid JSON ({error})") from error
        return cls.from_dict(data, source=source)

    @classmethod
    def from_dict(cls, data: Any, *, source: str = "contract") -> Contract:
        """Read the parsed JSON document.

        Raises:
            FileError: A field is missing or of the wrong kind, or the major version is another.
        """
        import msgspec

        if not isinstance(data, Mapping):
            raise FileError(f"{source}: the contract is a JSON {type(data).__name__}, not an object")
        version = str(data.get("contract", ""))
        if version.split(".", maxsplit=1)[0] != str(MAJOR):
            raise FileError(
                f"{source}: unsupported contract version {version or 'missing'}; this release reads {MAJOR}.x",
                hint="install the qcore release that wrote the file, or export the model again",
            )
        document = {key: value for key, value in data.items() if key != "contract"}
        known = {**_sorted(document, cls, "unknown"), "version": version}
        for part in ("inputs", "outputs"):
            if isinstance(known.get(part), list):
                known[part] = [_sorted(tensor, Tensor, "attributes") for tensor in known[part]]
        for part in ("preprocess", "postprocess"):
            known[part] = _sorted(known.get(part), Step, "unknown")
        if isinstance(known.get("classes"), list):
            known["classes"] = [str(name) if isinstance(name, int | float) else name for name in known["classes"]]
        try:
            contract: Contract = msgspec.convert(known, cls)
        except (msgspec.ValidationError, UnicodeError) as error:
            said, _, place = str(error).replace("`", "").partition(" - at $.")
            where = f"{source}: contract field {place}" if place else f"{source}: contract"
            raise FileError(
                f"{where}: {said[:1].lower()}{said[1:]}", hint="docs/contract.md tells of the fields"
            ) from error
        for part in ("quantization", "calibration", "source", "tools"):
            if not isinstance(contract.provenance.get(part, {}), Mapping):
                raise FileError(f"{source}: contract field provenance.{part}: expected object")
        return contract

    def under(self, protocol: str | None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Contract:
        """The contract with the parameters of a named protocol, and after that with others.

        Args:
            protocol: Name; None or `deployed` for the contract's own parameters.
            overrides: {"preprocess": {}, "postprocess": {}}.

        Raises:
            UsageError: It has no protocol of that name.
        """
        protocol = None if protocol == DEPLOYED else protocol
        if protocol is not None and protocol not in self.protocols:
            known = ", ".join(self.protocols) or "none"
            raise UsageError(f"the contract has no protocol {protocol!r}", hint=f"it has: {known}, {DEPLOYED}")
        pre, post = self.preprocess, self.postprocess
        for change in (self.protocols[protocol] if protocol is not None else {}, overrides or {}):
            pre, post = pre.updated(change.get("preprocess", {})), post.updated(change.get("postprocess", {}))
        return replace(self, preprocess=pre, postprocess=post)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as plain Python values."""
        return {
            "contract": self.version,
            "task": self.task,
            "inputs": [tensor.to_dict() for tensor in self.inputs],
            "preprocess": self.preprocess.to_dict(),
            "outputs": [tensor.to_dict() for tensor in self.outputs],
            "postprocess": self.postprocess.to_dict(),
            "classes": list(self.classes),
            "provenance": dict(self.provenance),
            **({"protocols": dict(self.protocols)} if self.protocols else {}),
            **({"extensions": dict(self.extensions)} if self.extensions else {}),
            **self.unknown,
        }

    def to_json(self, *, indent: int | None = None) -> str:
        """The JSON text."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)


def _sorted(data: Any, kind: Any, rest: str) -> Any:
    """The fields of a kind as they are, and the others in a field of their own."""
    if not isinstance(data, Mapping):
        return data
    names = {each.name for each in fields(kind)} - {rest, "version"}
    other = {key: value for key, value in data.items() if key not in names}
    return {**{key: value for key, value in data.items() if key in names}, rest: other}
