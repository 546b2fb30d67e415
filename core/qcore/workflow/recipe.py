"""A recipe: which file is loaded how, quantized how, and for what; plain data that opens nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.errors import UsageError
from qcore.forms import Form
from qcore.protocols import LIMIT, SEED

if TYPE_CHECKING:
    from qcore.host.plugins import Host
    from qcore.protocols import Progress
    from qcore.workflow.planner import Plan
    from qcore.workflow.run import Run


@dataclass(frozen=True)
class Quantizing:
    """What a quantizer is given.

    Attributes:
        quantizer: Name or object.
        calibration: A folder, a file that lists inputs, or any iterable of inputs or paths.
        limit: At most this many inputs are drawn; None for all.
        seed: Of the draw.
        options: Of the quantizer.
    """

    quantizer: Any
    calibration: Any
    limit: int | None = LIMIT
    seed: int = SEED
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Labelled:
    """Labelled data.

    Attributes:
        data: What the evaluator reads.
        options: Of the evaluator.
    """

    data: Any
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """What is to be done with a model. Nothing opens a file but `plan`, and that reads no weights.

    Every method returns a new recipe, so a common beginning can be continued in several ways. Components are named as
    in `qcore list-plugins` (`NAME` or `PLUGIN:NAME`), or are objects.

    Attributes:
        file: The checkpoint or exported file.
        loader: Name or object; None lets the content of the file decide.
        loader_options: Of the loader, e.g. `imgsz`.
        preprocess: Parameters of the preprocessor that the model's contract is changed to.
        quantizing: The quantizer, and what it is given; None leaves the model as it is.
        deciding: Labelled data on which quantizers and tuners choose; None where they have none.
        backend: Name or object of what runs the result.
        backend_options: Of the backend.
        profile: That a quantized graph is written for; None for the backend's own.
        head: How far the graph of the result goes, where a converter changes that, e.g. `nms`.
        precision: That the result computes in, as in `Form.precision`.
        conversion: Options of the converters on the way.
        protocol: Of the contract, that predictors follow instead of its own parameters.
        parameters: `preprocess` and `postprocess` of predictors; what is written stays as it is.
    """

    file: Path
    loader: Any = None
    loader_options: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    quantizing: Quantizing | None = None
    deciding: Labelled | None = None
    backend: Any = None
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    profile: str | None = None
    head: str | None = None
    precision: str | None = None
    conversion: Mapping[str, Any] = field(default_factory=dict)
    protocol: str | None = None
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __repr__(self) -> str:
        steps = (self.quantizing.quantizer if self.quantizing else None), self.backend
        return f"Recipe({', '.join(str(part) for part in (self.file, *steps) if part is not None)})"

    def with_preprocess(self, **params: Any) -> Recipe:
        """Change parameters of the preprocessor in the model's contract, for everything that follows and is written.

        For a model that was trained on other pixels than its family's own.
        """
        return replace(self, preprocess={**self.preprocess, **params})

    def with_parameters(
        self, *, preprocess: Mapping[str, Any] | None = None, postprocess: Mapping[str, Any] | None = None
    ) -> Recipe:
        """Change parameters of the pre- or postprocessor in this run; what is written stays as it is."""
        given = {"preprocess": preprocess or {}, "postprocess": postprocess or {}}
        merged = {name: {**self.parameters.get(name, {}), **params} for name, params in given.items()}
        return replace(self, parameters={name: params for name, params in merged.items() if params})

    def with_protocol(self, protocol: str | None) -> Recipe:
        """Let predictors follow a named protocol of the contract; None for the contract's own parameters."""
        return replace(self, protocol=protocol)

    def with_quantizer(
        self, quantizer: Any, *, calibration: Any, limit: int | None = LIMIT, seed: int = SEED, **options: Any
    ) -> Recipe:
        """Quantize on the way; the arguments are those of `Quantizing`."""
        return replace(self, quantizing=Quantizing(quantizer, calibration, limit, seed, options))

    def without_quantizer(self) -> Recipe:
        """Leave the model as it is."""
        return replace(self, quantizing=None, profile=None)

    def with_data(self, data: Any, **options: Any) -> Recipe:
        """Let quantizers and tuners decide on labelled data; the arguments are those of `Labelled`."""
        return replace(self, deciding=Labelled(data, options))

    def exclude_layers(self, *patterns: str) -> Recipe:
        """Leave further layers float.

        Args:
            *patterns: Names as in `Model.layers`, or patterns of them.

        Raises:
            UsageError: Nothing is quantized.
        """
        if self.quantizing is None:
            raise UsageError("exclude_layers: this recipe quantizes nothing", hint="with_quantizer(...) comes first")
        options = dict(self.quantizing.options)
        options["exclude"] = (*options.get("exclude", ()), *patterns)
        return replace(self, quantizing=replace(self.quantizing, options=options))

    def with_backend(self, backend: Any, *, profile: str | None = None, **options: Any) -> Recipe:
        """Run on a backend.

        Args:
            backend: Name or object.
            profile: That the quantized graph is written for; the backend's own by default.
            **options: Of the backend.
        """
        return replace(self, backend=backend, backend_options=options, profile=profile)

    def with_head(self, head: str | None) -> Recipe:
        """Let the result have a head that a converter makes, e.g. `nms`; None leaves the loader's."""
        return replace(self, head=head)

    def with_precision(self, precision: str | None) -> Recipe:
        """Let the result compute in a type, as in `Form.precision`; None leaves what the route gives."""
        return replace(self, precision=precision)

    def with_conversion(self, **options: Any) -> Recipe:
        """Set options of the converters on the way; each takes those that it has."""
        return replace(self, conversion={**self.conversion, **options})

    def float_model(self) -> Recipe:
        """The model as it is loaded: without quantizer, backend, head and precision."""
        return replace(self, quantizing=None, backend=None, backend_options={}, profile=None, head=None, precision=None)

    def plan(self, until: str | Form | None = None, *, host: Host | None = None) -> Plan:
        """The route to the backend, or to a format or form.

        Opens the file only where its name alone leaves the form open.

        Raises:
            NoRoute: No converters lead there.
            UsageError: A component is unknown, or an option.
        """
        return self.start(host=host).plan(until)

    def start(self, *, progress: Progress | None = None, host: Host | None = None) -> Run:
        """Begin to work on it.

        Args:
            progress: Where steps are shown; nowhere by default.
            host: Where components come from; the process's own by default.

        Raises:
            UsageError: A component is unknown, or an option, or a value.
        """
        from qcore.host.plugins import installed
        from qcore.progress import Silent
        from qcore.workflow.run import Run

        return Run(self, host or installed, progress or Silent())


def recipe(file: str | os.PathLike[str], loader: Any = None, **options: Any) -> Recipe:
    """Begin a recipe.

    Args:
        file: A checkpoint or an exported file.
        loader: Name or object; by default the content decides.
        **options: Of the loader, e.g. `imgsz=640`.
    """
    return Recipe(Path(file), loader, options)
