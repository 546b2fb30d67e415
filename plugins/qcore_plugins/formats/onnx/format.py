"""The format `onnx`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import KEY, Contract, FileError, Form, Model, Tensor
from qcore_kit.onnxfile.metadata import with_contract
from qcore_kit.told import told
from qcore_kit.uncontracted import unrecognised

if TYPE_CHECKING:
    import onnx

    from qcore.plugin import LoaderSpec, Opened

_PROTOBUF_IR_VERSION = 0x08  # field 1, varint: the first byte of every ModelProto that writers in use emit


class OnnxFormat:
    """ONNX models with the contract in `metadata_props` under `qcore.contract`."""

    def sniff(self, path: Path) -> bool:
        """By the first bytes: ONNX has no magic number, but its first field is the IR version, a small integer."""
        with path.open("rb") as stream:
            head = stream.read(2)
        return len(head) == 2 and head[0] == _PROTOBUF_IR_VERSION and 3 <= head[1] <= 32

    def open(self, path: Path) -> onnx.ModelProto:
        """The parsed model.

        Raises:
            FileError: Damaged, or external data is missing.
        """
        import onnx
        from google.protobuf.message import DecodeError

        from qcore_kit.onnxfile.normal import in_order

        try:
            model = in_order(onnx.load(str(path)))
            onnx.checker.check_model(_with_shapes(model))
        except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
            line = told(error)
            raise FileError(f"{path}: not a valid ONNX file ({line})", hint="copy or export it again") from error
        return model

    def prepared(self, content: onnx.ModelProto) -> onnx.ModelProto:
        """A float graph in the one form that quantizers and converters read; see `onnxfile.normal.normalised`."""
        from qcore_kit.onnxfile.normal import is_normal, normalised

        return content if self.form(content).encoding != "float" or is_normal(content) else normalised(content)

    def unrecognised(self, opened: Opened, loaders: Sequence[LoaderSpec]) -> FileError:
        """The error for a file without a contract."""
        return unrecognised(opened, loaders)

    def contract(self, content: onnx.ModelProto) -> Contract | None:
        """The contract in the metadata, if any."""
        texts = [entry.value for entry in content.metadata_props if entry.key == KEY]
        return Contract.from_json(texts[0], source="ONNX metadata") if texts else None

    def form(self, content: onnx.ModelProto) -> Form:
        """Float; Q/DQ with the type and symmetry of activations that the graph has; `native` for integer operators."""
        import onnx

        from qcore_kit.onnxfile import integer_operators

        casts = (node for node in content.graph.node if node.op_type == "Cast")
        half = onnx.TensorProto.FLOAT16 in (
            *(tensor.data_type for tensor in content.graph.initializer),
            *(onnx.helper.get_node_attr_value(node, "to") for node in casts),
        )
        precision = "f16" if half else "f32"
        if integer_operators.counts(content):  # quantized, in a way that no scale table describes
            return Form("onnx", encoding="native", precision=precision)
        quantizers = [node for node in content.graph.node if node.op_type == "QuantizeLinear"]
        head = "nms" if any(node.op_type == "NonMaxSuppression" for node in content.graph.node) else None
        if not any(node.op_type == "DequantizeLinear" for node in content.graph.node):
            return Form("onnx", encoding="float", precision=precision, head=head)
        constants = {tensor.name: tensor for tensor in content.graph.initializer}
        points = [constants[node.input[2]] for node in quantizers if len(node.input) > 2 and node.input[2] in constants]
        unsigned = any(point.data_type == onnx.TensorProto.UINT8 for point in points) or not points
        middle = 128 if unsigned else 0
        symmetric = all((onnx.numpy_helper.to_array(point) == middle).all() for point in points)
        contract = self.contract(content)
        profile = (contract.provenance.get("quantization") or {}).get("profile") if contract else None
        return Form(
            "onnx",
            encoding="qdq",
            activation="u8" if unsigned else "s8",
            symmetric=symmetric,
            precision=precision,
            profile=profile if isinstance(profile, str) else None,
            head=head,
        )

    def signature(self, content: onnx.ModelProto) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Inputs (without initializers) and outputs of the graph."""
        constants = {tensor.name for tensor in content.graph.initializer}
        inputs = [value for value in content.graph.input if value.name not in constants]
        return tuple(map(_tensor, inputs)), tuple(map(_tensor, content.graph.output))

    def write(self, model: Model, path: Path) -> Sequence[Path]:
        """One file."""
        import onnx

        embedded = with_contract(model.module, model.contract)
        onnx.checker.check_model(embedded)
        onnx.save(embedded, str(path))
        return [path]


def _with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """For the checker, which wants a shape of every output: runtimes do without."""
    import onnx

    if all(value.type.tensor_type.HasField("shape") for value in model.graph.output):
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for value in made.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    return made


def _tensor(value: Any) -> Tensor:
    import onnx

    kind = value.type.tensor_type
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or f"axis{index}")
        for index, dim in enumerate(kind.shape.dim)
    )
    return Tensor(value.name, str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)), shape)
