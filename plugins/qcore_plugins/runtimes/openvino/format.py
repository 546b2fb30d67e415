"""The format `openvino`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import KEY, Contract, FileError, Form, Model, Tensor, sha256
from qcore_kit.silence import silently
from qcore_kit.told import told
from qcore_kit.uncontracted import unrecognised

if TYPE_CHECKING:
    import openvino

    from qcore.plugin import LoaderSpec, Opened


WEIGHTS = "qcore.weights_sha256"
"""Key in `rt_info` of the hash of the .bin file: numbers of another model's would be used without a word."""


class OpenVinoFormat:
    """OpenVINO IR with the contract in `rt_info` under `qcore.contract`."""

    def sniff(self, path: Path) -> bool:
        """By the root element of the XML."""
        with path.open("rb") as stream:
            head = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
        return head.startswith((b"<?xml", b"<net")) and b"<net " in head

    def files(self, path: Path) -> Sequence[Path]:
        """The weights, and the graph."""
        return [path.with_suffix(".bin"), path]

    def open(self, path: Path) -> openvino.Model:
        """The parsed model.

        Raises:
            FileError: Damaged, or the .bin file is missing, short, or of another model.
        """
        import openvino

        if not path.with_suffix(".bin").exists():
            raise FileError(
                f"{path}: its weights {path.with_suffix('.bin').name} are missing", hint="copy the .bin file beside it"
            )
        try:
            with silently():
                model = openvino.Core().read_model(str(path))
        except (RuntimeError, UnicodeError) as error:
            line = told(RuntimeError(str(error).strip().splitlines()[-1]))
            raise FileError(f"{path}: not a valid OpenVINO file ({line})", hint="copy or export it again") from error
        beside = path.with_suffix(".bin")
        if model.has_rt_info([WEIGHTS]) and model.get_rt_info([WEIGHTS]).value != sha256(beside):
            raise FileError(
                f"{path}: {beside.name} holds the weights of another file, or was changed",
                hint="copy both files again, from one run",
            )
        return model

    def prepared(self, content: openvino.Model) -> openvino.Model:
        """A float model with what follows from constants folded, so that weights are where quantizers look for them."""
        from openvino.passes import ConstantFolding, Manager

        if self.form(content).encoding != "float":
            return content
        copy = content.clone()
        manager = Manager()
        manager.register_pass(ConstantFolding())
        manager.run_passes(copy)
        return copy

    def unrecognised(self, opened: Opened, loaders: Sequence[LoaderSpec]) -> FileError:
        """The error for a file without a contract."""
        return unrecognised(opened, loaders)

    def contract(self, content: openvino.Model) -> Contract | None:
        """The contract in rt_info, if any."""
        if not content.has_rt_info([KEY]):
            return None
        return Contract.from_json(str(content.get_rt_info([KEY]).value), source="OpenVINO rt_info")

    def form(self, content: openvino.Model) -> Form:
        """Float; `native` where a quantizer of OpenVINO's own made it; `qdq` where it came from a Q/DQ graph."""
        kinds = {op.get_type_name() for op in content.get_ops()}
        if "FakeQuantize" not in kinds and not _has_integer_weights(content):
            return Form("openvino", encoding="float", precision="f16" if _convolves_in_half(content) else "f32")
        contract = self.contract(content)
        quantization: dict[str, Any] = dict(contract.provenance.get("quantization") or {}) if contract else {}
        if profile := quantization.get("profile"):
            return Form("openvino", encoding="qdq", activation="u8", precision="f32", profile=profile)
        return Form("openvino", encoding="native", precision="f32")

    def signature(self, content: openvino.Model) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Inputs and outputs of the model."""
        return tuple(map(_tensor, content.inputs)), tuple(map(_tensor, content.outputs))

    def write(self, model: Model, path: Path) -> Sequence[Path]:
        """The .bin file, then the .xml that refers to it, with a hash of it."""
        import openvino

        copy = model.module.clone()
        copy.set_rt_info(model.contract.to_json(), [KEY])
        try:
            openvino.save_model(copy, str(path), compress_to_fp16=False)
            copy.set_rt_info(sha256(path.with_suffix(".bin")), [WEIGHTS])
            openvino.save_model(copy, str(path), compress_to_fp16=False)
        except RuntimeError as error:  # "iostream error": all that it says of a full disk
            raise FileError(f"{path.name}: cannot be written", hint="check space and permissions of -o") from error
        return self.files(path)


def _convolves_in_half(content: openvino.Model) -> bool:
    return any(
        op.get_type_name() == "Convolution" and str(op.get_output_element_type(0).to_string()) == "f16"
        for op in content.get_ops()
    )


def _has_integer_weights(content: openvino.Model) -> bool:
    return any(
        op.get_type_name() == "Constant"
        and str(op.get_element_type().to_string()) in {"i8", "u8"}
        and len(op.get_output_shape(0)) == 4
        for op in content.get_ops()
    )


def _tensor(port: Any) -> Tensor:
    shape = tuple(
        dim.get_length() if dim.is_static else f"axis{index}" for index, dim in enumerate(port.get_partial_shape())
    )
    dtype = port.get_element_type().to_dtype()
    return Tensor(port.get_any_name(), str(dtype.__name__ if isinstance(dtype, type) else dtype), shape)
