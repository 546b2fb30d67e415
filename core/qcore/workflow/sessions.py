"""Sessions held against the contract of the model that they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcore.contract import Tensor
from qcore.errors import PluginError
from qcore.forms import Form
from qcore.host.border import Guarded, called
from qcore.host.specs import BackendSpec, Spec
from qcore.model import Model
from qcore.protocols import AnyShape, Arrays, Session


def compiled(spec: BackendSpec, model: Model, options: Mapping[str, Any] | None = None) -> Session:
    """The model, compiled by a backend.

    Args:
        spec: Of the backend.
        model: In a form that it accepts.
        options: Of the backend, parsed; its defaults without any.

    Returns:
        A session whose first outputs are held against the contract.

    Raises:
        FileError, MissingDevice, UsageError: As the backend raises them.
        PluginError: The backend fails.
    """
    session = spec.create().compile(model, options=spec.typed(options or spec.settings({})))
    return Held(spec, session, model.contract.outputs)


def declared(spec: Spec[Any], model: Any, form: Form) -> Model:
    """What a component gave, if it is a model of the form that was declared.

    Raises:
        PluginError: It is something else.
    """
    if not isinstance(model, Model):
        what = f"a {type(model).__name__}"
    elif not form.accepts(model.form):
        what = f"a model of the form {model.form}"
    else:
        return model
    raise PluginError(
        f"{spec.kind} {spec.name} of plugin {spec.plugin or 'unknown'} gave {what}, declared is {form}",
        hint="report it to the plugin's authors",
    )


class Held(Guarded):
    """A session behind the border; what it gives first is held against what the contract says."""

    def __init__(self, spec: BackendSpec, session: Session, outputs: tuple[Tensor, ...]) -> None:
        super().__init__(spec, session)
        self._outputs, self._new = outputs, True

    def run(self, inputs: Arrays) -> Arrays:
        """One inference: all outputs by name.

        Raises:
            PluginError: The session fails, or gives other outputs than the contract says.
        """
        outputs: Arrays = called(self._spec, self._component.run, inputs)
        if self._new:
            self._require_declared(outputs)
            self._new = False
        return outputs

    def _require_declared(self, outputs: Arrays) -> None:
        free = isinstance(self._component, AnyShape) and self._component.any_shape
        for tensor in self._outputs:
            fault = _fault(tensor, outputs, free=free)
            if fault:
                raise PluginError(
                    f"backend {self._spec.name} of plugin {self._spec.plugin or 'unknown'}: {fault}",
                    hint="qcore contract show FILE prints what the outputs should be; qcore check compares",
                )


def _fault(tensor: Tensor, outputs: Arrays, *, free: bool) -> str:
    """What is wrong with an output, in words; empty where nothing is."""
    if tensor.name not in outputs:
        return f"the contract says output {tensor.name}, what came is {', '.join(outputs) or 'nothing'}"
    value = outputs[tensor.name]
    shape, dtype = list(value.shape), str(value.dtype)
    if len(shape) != len(tensor.shape):
        return f"output {tensor.name} has shape {shape}, the contract says {list(tensor.shape)}"
    apart = [
        (got, size) for got, size in zip(shape, tensor.shape, strict=True) if isinstance(size, int) and got != size
    ]
    if apart and not free:
        return f"output {tensor.name} has shape {shape}, the contract says {list(tensor.shape)}"
    if dtype != tensor.dtype:
        return f"output {tensor.name} is {dtype}, the contract says {tensor.dtype}"
    return ""


def require_numbers(outputs: Arrays, backend: str) -> None:
    """Refuse outputs that hold infinities or NaN.

    Raises:
        PluginError: Some do.
    """
    import numpy as np

    for name, value in outputs.items():
        flat = np.ravel(value)
        if flat.dtype.kind != "f":
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.dot(flat, flat)):  # one pass and no copy; where it overflows, each number is asked
                continue
        if not np.isfinite(flat).all():
            count = int((~np.isfinite(flat)).sum())
            raise PluginError(
                f"output {name} holds {count} values that are no numbers, on {backend}",
                hint="qcore compare REF FILE --data DIR tells where in the graph they begin",
            )
