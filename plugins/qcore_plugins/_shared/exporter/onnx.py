"""The one exporter: a torch module to an ONNX graph, verified before it is handed on."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch

from qcore.plugin import CheckFailed, Contract, Tensor
from qcore_plugins._shared.folding import as_products, fold_batchnorm, without_whole_slices, written_apart

OPSET = 20
"""What torch's exporter writes natively; every runtime supported here reads it."""
DYNAMIC_PROBE = 2
"""Size of a dynamic dimension during the export; torch.export takes 1 for a constant."""
RELATIVE, ABSOLUTE = 1e-4, 1e-4
"""Allowed difference between the file and the module: float32 rounding in another order gives about 1e-6."""


@dataclass(frozen=True)
class Exported:
    """A module in the two forms that quantization works on; equal names mean equal tensors.

    Attributes:
        module: In eval mode, BatchNorm folded.
        program: What `torch.export` made of it, with a dynamic batch whatever the contract says, unless the module
            has its batch written down.
        proto: The float ONNX graph, with the contract's own shapes.
        names: Node of the program -> what it is called in the graph, where that differs.
        weights: What to use instead of the program's own parameters, by name; of a training.
    """

    module: torch.nn.Module
    program: torch.export.ExportedProgram
    proto: onnx.ModelProto
    weights: Mapping[str, torch.Tensor] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def any_batch(self) -> bool:
        """Whether the program takes any batch."""
        given = {node.name: node for node in self.program.graph.nodes if node.op == "placeholder"}
        shapes = [given[name].meta["val"].shape for name in self.program.graph_signature.user_inputs]
        return any(isinstance(size, torch.SymInt) for shape in shapes for size in shape)

    def simplified(self) -> torch.nn.Module:
        """The network in the operations that ONNX is written from.

        Exported again, both forms have one operation for each of its.
        """
        with _quiet(), torch.no_grad():
            program = _onnx(self.program).exported_program
        assert program is not None  # noqa: S101 - it was made from one
        return without_whole_slices(program.module(check_guards=False))

    def with_weights(self, weights: Mapping[str, torch.Tensor]) -> Exported:
        """The same network with other parameters, in both forms."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        for tensor in proto.graph.initializer:
            if tensor.name in weights:
                tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name].cpu().numpy(), tensor.name))
        return replace(self, proto=proto, weights=dict(weights))


def export(module: torch.nn.Module, contract: Contract) -> tuple[torch.nn.Module, onnx.ModelProto]:
    """Fold BatchNorm, export through `torch.export`, compare with the module.

    Returns:
        The folded module and the ONNX graph. Its tensors have the names of the program's nodes, its weights those of
        the module's parameters.

    Raises:
        CheckFailed: ONNX Runtime's result on the exported graph differs from the module's.
    """
    folded, _, proto = _exported(module, contract)
    return folded, proto


def export_both(module: torch.nn.Module, contract: Contract) -> Exported:
    """Like `export`, with the program beside it, which takes any batch where the module does.

    Raises:
        CheckFailed: As `export`.
    """
    folded, fixed, proto = _exported(module, contract)
    with _quiet(), torch.no_grad():
        program = _program(folded, contract)
    theirs, ours = tensors(fixed.module(check_guards=False)), tensors(program.module(check_guards=False))
    same = [node.target for node in theirs] == [node.target for node in ours]
    names = {node.name: twin.name for node, twin in zip(ours, theirs, strict=True)} if same else {}
    return Exported(folded, program, proto, names=names)


def tensors(module: torch.fx.GraphModule) -> list[torch.fx.Node]:
    """The operations of a program that make tensors, and not sizes."""
    sizes = (torch.SymInt, int)
    return [
        node
        for node in module.graph.nodes
        if node.op == "call_function" and not isinstance(node.meta.get("val"), sizes)
    ]


def _exported(
    module: torch.nn.Module, contract: Contract
) -> tuple[torch.nn.Module, torch.export.ExportedProgram, onnx.ModelProto]:
    probe = _probes(contract.inputs)
    with _quiet(), torch.no_grad():
        folded = fold_batchnorm(module, probe).eval()
        program = torch.export.export(folded, probe, dynamic_shapes=_dynamic(contract.inputs))
        if written_apart(program):
            folded = as_products(_program(folded, contract))
            program = torch.export.export(folded, probe, dynamic_shapes=_dynamic(contract.inputs))
        names = [[tensor.name for tensor in side] for side in (contract.inputs, contract.outputs)]
        proto = _clean(_onnx(program, *names).model_proto)
        expected = module(*probe)
    verify(proto, probe, expected if isinstance(expected, (tuple, list)) else (expected,))
    return folded, program, proto


def _onnx(
    program: torch.export.ExportedProgram, inputs: list[str] | None = None, outputs: list[str] | None = None
) -> torch.onnx.ONNXProgram:
    made = torch.onnx.export(
        program,
        (),
        dynamo=True,
        external_data=False,
        opset_version=OPSET,
        input_names=inputs,
        output_names=outputs,
        verbose=False,
    )
    assert made is not None  # noqa: S101 - only the old exporter gives nothing
    return made


def _program(module: torch.nn.Module, contract: Contract) -> torch.export.ExportedProgram:
    """With a free batch, if the module takes one."""
    free = [_free(tensor) for tensor in contract.inputs]
    try:
        return torch.export.export(module, _probes(free), dynamic_shapes=_dynamic(free))
    except (RuntimeError, ValueError):  # what PyTorch raises where a size is written down in the module
        return torch.export.export(module, _probes(contract.inputs), dynamic_shapes=_dynamic(contract.inputs))


def _free(tensor: Tensor) -> Tensor:
    """With a free batch."""
    shape = tuple("batch" if axis == tensor.batch else size for axis, size in enumerate(tensor.shape))
    return replace(tensor, shape=shape)


def verify(proto: onnx.ModelProto, probe: tuple[torch.Tensor, ...], expected: Any) -> None:
    """Compare the exported graph on ONNX Runtime with the module's own outputs.

    Raises:
        CheckFailed: They differ by more than rounding.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {given.name: value.numpy() for given, value in zip(session.get_inputs(), probe, strict=True)}
    for output, want, got in zip(session.get_outputs(), expected, session.run(None, feeds), strict=True):
        reference = want.numpy()
        if reference.shape != got.shape or not np.allclose(reference, got, rtol=RELATIVE, atol=ABSOLUTE):
            worst = float(np.abs(reference - got).max()) if reference.shape == got.shape else float("nan")
            raise CheckFailed(
                f"ONNX export: output {output.name} differs from the PyTorch model: largest difference {worst:.3g}",
                hint="no file was written; this is a bug in the exporter, please report it with the model's config",
            )


def _dynamic(inputs: Sequence[Tensor]) -> tuple[dict[int, Any], ...] | None:
    """Named dimensions for torch.export, by axis; None where all are fixed."""
    named = [{axis: size for axis, size in enumerate(given.shape) if isinstance(size, str)} for given in inputs]
    if not any(named):
        return None
    dims = {name: torch.export.Dim(name, min=1) for axes in named for name in axes.values()}
    return tuple({axis: dims[name] for axis, name in axes.items()} for axes in named)


def _probes(inputs: Sequence[Tensor]) -> tuple[torch.Tensor, ...]:
    return tuple(_probe(tensor, index) for index, tensor in enumerate(inputs))


def _probe(tensor: Tensor, seed: int) -> torch.Tensor:
    """A smooth random picture in 0..1: noise that is constant over 8x8 pixels, so that activations look natural.

    Integers count from 0 along the last axis: as indices they are small, and each place is named once.
    """
    sizes = [size if isinstance(size, int) else DYNAMIC_PROBE for size in tensor.shape]
    rng = np.random.default_rng(seed)
    if np.dtype(tensor.dtype).kind in "iub":
        counted = np.arange(sizes[-1] if sizes else 1).astype(tensor.dtype)
        return torch.from_numpy(np.broadcast_to(counted, sizes).copy())
    if len(sizes) != 4:
        return torch.from_numpy(rng.random(sizes, dtype=np.float32))
    coarse = rng.random((*sizes[:2], -(-sizes[2] // 8), -(-sizes[3] // 8)), dtype=np.float32)
    fine = coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, : sizes[2], : sizes[3]]
    return torch.from_numpy(np.ascontiguousarray(fine))


def _clean(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what names this machine (stack traces in node metadata) and what no runtime needs."""
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del proto.graph.metadata_props[:]
    del proto.functions[:]
    return proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its progress and other people's deprecations on the console."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
