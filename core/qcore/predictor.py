"""A predictor: a session with the pre- and postprocessing that the contract names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from qcore.contract import Contract
from qcore.errors import FileError, UsageError
from qcore.manager import Plugins
from qcore.protocols import Arrays, Postprocessor, Preprocessor, Session
from qcore.specs import PostprocessorSpec, PreprocessorSpec


@dataclass
class Predictor:
    """Runs inputs end to end; results are in the coordinates of each input.

    Attributes:
        contract: What everything was configured from.
        backend: Name of the backend that compiled the session.
    """

    contract: Contract
    session: Session
    preprocessor: Preprocessor
    postprocessor: Postprocessor
    backend: str

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

    def stream(self, source: Any, *, on_error: Callable[[Any, FileError], None] | None = None) -> Iterator[Any]:
        """Results in the order of the inputs, one batch of the contract's size in memory at a time.

        Args:
            source: Anything that the preprocessor expands; of an iterator, only the next inputs are taken at a time.
            on_error: Called with an item that cannot be read, whose result then is None; by default it is raised.
        """
        for _, result in self.examine(source, on_error=on_error):
            yield result

    def examine(
        self, source: Any, *, on_error: Callable[[Any, FileError], None] | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Like `stream`, but (input as it was read, result); (None, None) for one that could not be read."""
        expand, lazy = self.preprocessor.expand, isinstance(source, Iterator)
        items: Iterator[Any] = chain.from_iterable(map(expand, source)) if lazy else iter(expand(source))
        size = self.contract.inputs[0].shape[0]
        while batch := list(islice(items, size if isinstance(size, int) else 1)):
            yield from self._batch(batch, size if isinstance(size, int) else 1, on_error)

    def _batch(
        self, items: list[Any], size: int, on_error: Callable[[Any, FileError], None] | None
    ) -> Iterable[tuple[Any, Any]]:
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
        results = iter(self._infer(good, size) if good else [])
        return [(raw, None if raw is None else next(results)) for raw in raws]

    def _infer(self, raws: list[Any], size: int) -> list[Any]:
        inputs, geometries = self.prepare(raws, size)
        return self.finish(self.session.run(inputs), geometries)

    def prepare(self, raws: Sequence[Any], size: int = 1) -> tuple[Arrays, list[Any]]:
        """The session's inputs for a batch, and what `finish` needs besides.

        Args:
            raws: As `preprocessor.read` gives them.
            size: Of the batch; the last of fewer inputs is repeated.

        Raises:
            UsageError: The preprocessing makes tensors that the model does not take.
        """
        import numpy

        tensors, geometries = zip(*(self.preprocessor(raw) for raw in raws), strict=True)
        filled = [*tensors, *[tensors[-1]] * (size - len(tensors))]
        if len({tensor.shape for tensor in filled}) > 1:
            raise UsageError(
                "inputs of one batch have different shapes", hint="leave --rect out, or use a batch of one"
            )
        given = filled[0] if len(filled) == 1 else numpy.concatenate(filled)
        wanted = self.contract.inputs[0]
        fixed = [(got, size) for got, size in zip(given.shape, wanted.shape, strict=True) if isinstance(size, int)]
        if any(got != size for got, size in fixed) and not getattr(self.session, "any_shape", False):
            raise UsageError(
                f"the preprocessing makes {list(given.shape)}, the model on {self.backend} takes {list(wanted.shape)}",
                hint="leave --rect out, or run the checkpoint itself",
            )
        return {wanted.name: given}, list(geometries)

    def finish(self, outputs: Arrays, geometries: list[Any]) -> list[Any]:
        """The results of a batch, one for each geometry."""
        kept = {key: value[: len(geometries)] for key, value in outputs.items()}
        return list(self.postprocessor(kept, geometries))


def assembled(
    contract: Contract,
    session: Session,
    backend: str,
    *,
    plugins: Plugins,
    protocol: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Predictor:
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
    changes: list[Mapping[str, Any]] = [overrides or {}]
    if protocol is not None:
        if protocol not in contract.protocols:
            known = ", ".join(contract.protocols) or "none"
            raise UsageError(f"the contract has no protocol {protocol!r}", hint=f"it has: {known}")
        changes.insert(0, contract.protocols[protocol])
    for change in changes:
        contract = replace(
            contract,
            preprocess=contract.preprocess.updated(change.get("preprocess", {})),
            postprocess=contract.postprocess.updated(change.get("postprocess", {})),
        )
    pre = plugins.get(PreprocessorSpec, contract.preprocess.component)
    post = plugins.get(PostprocessorSpec, contract.postprocess.component)
    return Predictor(
        contract=contract,
        preprocessor=pre.load()(contract.preprocess.params, contract.inputs),
        postprocessor=post.load()(contract.postprocess.params, contract.outputs, contract.classes),
        session=session,
        backend=backend,
    )
