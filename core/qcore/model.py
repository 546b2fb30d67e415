"""A model on its way through the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qcore.contract import Contract
from qcore.forms import Form


@dataclass(frozen=True)
class Model:
    """An object of some form, with its contract.

    Attributes:
        form: What `module` is technically.
        module: The object itself: a torch module, an ONNX graph, a runtime's model.
        contract: What goes in and what comes out.
        notes: What a person should know of how it was read: label -> text (`variant`, `parameters`, `assumed`, ...).
        reference: Makes a session that computes what this quantized model should give, by other means than the runtime
            it is for; None where nothing was quantized or there are no such means.
        layers: What quantization decided for each layer, as rows of equal keys; the `layer` among them is what
            quantizers take as `exclude`.
    """

    form: Form
    module: Any
    contract: Contract
    notes: Mapping[str, Any] = field(default_factory=dict)
    reference: Callable[[], Any] | None = field(default=None, repr=False)
    layers: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        return f"Model({self.form}, {self.contract!r})"

    def evolve(self, **changes: Any) -> Model:
        """A copy with some fields replaced."""
        return replace(self, **changes)
