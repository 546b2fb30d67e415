"""What loaders hand over: a detector's module with its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from qcore.plugin import Form, Model
from qcore.plugin import Tensor as TensorSpec
from qcore_kit.checkpoints.unpickler import Checkpoint
from qcore_kit.classes.reading import class_names
from qcore_kit.classes.text import from_file
from qcore_kit.detectors.contracts import contract

NAMES_HINT = "--loader-option names=FILE"


class RawHead(nn.Module):
    """A network without its decode: one output a level."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the network's `raw` gives."""
        return tuple(self.network.raw(x))


def levels(network: Any, shape: Sequence[Any]) -> list[tuple[int, int]]:
    """Rows and columns of cells of each level, for an input `[B, 3, H, W]`."""
    return [(shape[2] // int(stride), shape[3] // int(stride)) for stride in network.strides]


def names(stored: Any, count: int, options: Mapping[str, Any], file: str) -> tuple[list[str], dict[str, str]]:
    """Class names, and what was assumed: those of the option `names`, else those of the file, else numbers.

    Raises:
        FileError: They are no names, or another number than there are classes.
    """
    if options.get("names"):
        chosen = from_file(options["names"])
        return class_names(chosen, str(options["names"]), count=count), {}
    class_list = class_names(stored, file, count=count, hint=f"pass other names with {NAMES_HINT}")
    if class_list:
        return class_list, {}
    told = f"class names are numbers, the file holds none; {NAMES_HINT} gives them"
    return [str(index) for index in range(count)], {"assumed": told}


def told(notes: Mapping[str, str], *assumed: str) -> dict[str, str]:
    """The notes with everything that was assumed in one."""
    whole = "; ".join(part for part in (notes.get("assumed", ""), *assumed) if part)
    return {**notes, **({"assumed": whole} if whole else {})}


def model(
    network: Any,
    content: Checkpoint,
    *,
    family: str,
    variant: str,
    shape: Sequence[Any],
    outputs: Sequence[TensorSpec],
    steps: Mapping[str, Mapping[str, Any]],
    notes: Mapping[str, str] | None = None,
) -> Model:
    """The model that a loader returns.

    Args:
        network: With `raw`, `names` and `strides`.
        content: The checkpoint it came from.
        family: Name of the loader.
        variant: Published size, or `custom`.
        shape: Of the input.
        outputs: As the module gives them; raw ones make it end before its decode.
        steps: Parameters `preprocess` and `postprocess`, and `protocols`.
        notes: Further facts for `qcore inspect`; `assumed` is told as a warning.
    """
    source = {"file": content.path.name, "sha256": content.sha256}
    described = contract(
        shape, outputs, network.names, **steps, provenance={"family": family, "variant": variant, "source": source}
    )
    told = {
        "parameters": f"{sum(parameter.numel() for parameter in network.parameters()):,}",
        "strides": ", ".join(f"{stride:g}" for stride in network.strides),
        **(notes or {}),
    }
    module = RawHead(network) if outputs[0].stage == "raw" else network
    return Model(Form("torch", encoding="float", precision="f32"), module.eval(), described, told)
