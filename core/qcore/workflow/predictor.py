"""A predictor: a session with the pre- and postprocessing that the contract names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from qcore.contract import Contract
from qcore.errors import FileError, PluginError, UsageError
from qcore.host.plugins import Host
from qcore.host.specs import PostprocessorSpec, PreprocessorSpec
from qcore.protocols import AnyShape, Arrays, HasItems, OnError, Postprocessor, Preprocessor, Session
from qcore.workflow.inputs import batch_size, cut, stack
from qcore.workflow.sessions import require_numbers


@dataclass
class Predictor:
    """Runs inputs end to end; results are in the coordinates of each input.

    Attributes:
        contract: What everything was configured from.
        backend: Name of the backend that compiled the session.
        batch_size: Inputs that are run at once where the contract leaves the batch open.
    """

    contract: Contract
    session: Session = field(repr=False)
    preprocessor: Preprocessor = field(repr=False)
    postprocessor: Postprocessor = field(repr=False)
    backend: str
    batch_size: int = 1

    @property
    def executed_precision(self) -> str:
        """The precision the runtime really computes in, as it tells itself."""
        return self.session.executed_precision

    def __call__(self, source: Any) -> Any:
        """The result for one input: a path or whatever the preprocessor reads.

        Raises:
            UsageError: `source` stands for more than one input; use `stream`.
            FileError: It cannot be read.
        """
        items = self.preprocessor.expand(source)
        if len(items) != 1:
            raise UsageError(f"{source} stands for {len(items)} inputs, not one", hint="use stream(source)")
        return next(self.stream(items))

    def stream(self, source: Any, *, on_error: OnError | None = None) -> Iterator[Any]:
        """Results in the order of the inputs, one batch in memory at a time; of recordings, those of every item.

        Args:
            source: Anything that the preprocessor expands; of an iterator, only the next inputs are taken at a time.
            on_error: Called with an item that cannot be read, whose result then is None, and with a recording that
                cannot be opened or ends early; by default the error is raised.
        """
        if isinstance(self.preprocessor, HasItems):
            items: Iterable[Any] = self.preprocessor.items(source, on_error)
        elif isinstance(source, Iterator):
            items = chain.from_iterable(map(self.preprocessor.expand, source))
        else:
            items = self.preprocessor.expand(source)
        for _, _, result in self.run(items, on_error=on_error):
            yield result

    def run(self, items: Iterable[Any], *, on_error: OnError | None = None) -> Iterator[tuple[Any, Any, Any]]:
        """(item, input as it was read, result) of single inputs; (item, None, None) where it could not be read."""
        remaining = iter(items)
        while batch := list(islice(remaining, self._size)):
            yield from self._batch(batch, on_error)

    @property
    def _size(self) -> int:
        return batch_size(self.contract.inputs, self.batch_size)

    def _batch(self, items: list[Any], on_error: OnError | None) -> Iterable[tuple[Any, Any, Any]]:
        raws: list[Any] = []
        for item in items:
            try:
                raws.append(self.preprocessor.read(item))
            except FileError as error:
                if on_error is None:
                    raise
                on_error(item, error)
                raws.append(None)
        good = [raw for raw in raws if raw is not None]
        results = iter(self._infer(good) if good else [])
        return [(item, raw, None if raw is None else next(results)) for item, raw in zip(items, raws, strict=True)]

    def _infer(self, raws: list[Any]) -> list[Any]:
        inputs, geometries = self.prepare(raws, batch_size(self.contract.inputs, len(raws)))
        outputs = self.session.run(inputs)
        require_numbers(outputs, self.backend)
        return self.finish(outputs, geometries)

    def prepare(self, raws: Sequence[Any], size: int = 1) -> tuple[Arrays, list[Any]]:
        """The session's inputs for a batch, and what `finish` needs besides.

        Args:
            raws: As `preprocessor.read` gives them.
            size: Of the batch; the last of fewer inputs is repeated.

        Raises:
            UsageError: The preprocessing makes tensors that the model does not take.
        """
        prepared = [self.preprocessor.prepare(raw) for raw in raws]
        inputs = stack([one.arrays for one in prepared], self.contract.inputs, size)
        for tensor in self.contract.inputs:
            given = list(inputs[tensor.name].shape)
            fixed = [size for size in zip(given, tensor.shape, strict=False) if isinstance(size[1], int)]
            fits = len(given) == len(tensor.shape) and all(got == size for got, size in fixed)
            if not fits and not (isinstance(self.session, AnyShape) and self.session.any_shape):
                raise UsageError(
                    f"preprocessing produced shape {given}, "
                    f"but the model on {self.backend} expects {list(tensor.shape)}",
                    hint="omit --rect, or run the original checkpoint",
                )
        return inputs, [one.context for one in prepared]

    def finish(self, outputs: Arrays, geometries: list[Any]) -> list[Any]:
        """The results of a batch, one for each geometry."""
        kept = cut(outputs, self.contract.outputs, len(geometries))
        results = list(self.postprocessor(kept, geometries))
        if len(results) != len(geometries):
            component = self.contract.postprocess.component
            raise PluginError(f"postprocessor {component} gives {len(results)} results for {len(geometries)} inputs")
        return results


def assembled(
    contract: Contract, session: Session, backend: str, *, plugins: Host, protocol: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Predictor:  # fmt: skip
    """A session with the pre- and postprocessing of a contract around it.

    Args:
        contract: Of the model that the session runs.
        session: Takes the contract's inputs and gives its outputs.
        backend: What to call what runs it.
        plugins: Where pre- and postprocessors come from.
        protocol: Named protocol of the contract to run under.
        overrides: Parameters to change after that: {"preprocess": {}, "postprocess": {}}.

    Raises:
        UsageError: The contract has no protocol of that name.
    """
    contract = contract.under(protocol, overrides)
    pre = plugins.get(PreprocessorSpec, contract.preprocess.component)
    post = plugins.get(PostprocessorSpec, contract.postprocess.component)
    preprocessor = pre.create(contract.preprocess.params, contract.inputs)
    postprocessor = post.create(contract.postprocess.params, contract.outputs, contract.classes)
    return Predictor(contract, session, preprocessor, postprocessor, backend)
