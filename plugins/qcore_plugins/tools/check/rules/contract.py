"""Rules on the contract, against the file it lies in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from qcore.plugin import Contract, Tensor, UsageError
from qcore_kit.checks import Documented, Hit, Subject
from qcore_kit.layouts import HasClasses, layout_of

ATTACH = "qcore contract attach {file} --family FAMILY --names names.txt --in-place"


class OfContract(Documented):
    """A rule that needs a contract."""

    hint: ClassVar[str] = ATTACH

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Where there is a contract."""
        if subject.contract is not None:
            yield from self.said(subject, subject.contract)

    def said(self, subject: Subject, contract: Contract) -> Iterator[Hit]:
        """What is wrong with it."""
        raise NotImplementedError


class NoContract(Documented):
    """File has no contract.

    Why: nothing says how pictures become the input, what the outputs mean, or which classes there are; whoever deploys
    the file has to know.

    Fix: attach one.
    """

    id = "CON001"
    severity = "info"
    hint = ATTACH

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Once for the file."""
        if subject.contract is None:
            yield Hit("", "no contract inside")


class Signature(OfContract):
    """Inputs or outputs differ from the contract.

    Why: what reads the outputs goes by the contract; it fails, or takes one tensor for another.

    Fix: export again, or attach a contract that tells what the file has.
    """

    id = "CON002"
    severity = "error"

    def said(self, subject: Subject, contract: Contract) -> Iterator[Hit]:
        """Each difference but for the batch."""
        for what, agreed, found in _sides(subject, contract):
            if [tensor.name for tensor in agreed] != [tensor.name for tensor in found]:
                yield Hit("", f"{what} are {_names(found)}, the contract says {_names(agreed)}")
                continue
            for one, other in zip(agreed, found, strict=True):
                if one.dtype != other.dtype:
                    yield Hit(one.name, f"is {other.dtype}, the contract says {one.dtype}")
                if len(one.shape) != len(other.shape) or not _fit(one.shape[1:], other.shape[1:]):
                    yield Hit(one.name, f"is {list(other.shape)}, the contract says {list(one.shape)}")


class Batch(OfContract):
    """Batch differs from the contract, or between inputs and outputs.

    Why: an export with batch 16 baked in takes sixteen pictures or none; one whose output has another batch than its
    input gives results of pictures that were not asked about.

    Fix: export again with `--batch`.
    """

    id = "CON003"
    severity = "error"
    hint = "qcore export MODEL --to onnx --batch 1 -o out/"

    def said(self, subject: Subject, contract: Contract) -> Iterator[Hit]:
        """Each tensor whose first dimension differs."""
        agreed = {tensor.name: tensor for tensor in (*contract.inputs, *contract.outputs)}
        given = {tensor.shape[0] for tensor in subject.inputs if tensor.shape}
        for tensor in (*subject.inputs, *subject.outputs):
            known = agreed.get(tensor.name)
            if known is None or not tensor.shape or not known.shape:
                continue
            if not _fit(known.shape[:1], tensor.shape[:1]):
                yield Hit(tensor.name, f"has batch {tensor.shape[0]}, the contract says {known.shape[0]}")
            elif (
                isinstance(tensor.shape[0], int) and given and not any(_fit((one,), tensor.shape[:1]) for one in given)
            ):
                yield Hit(tensor.name, f"has batch {tensor.shape[0]}, the input {min(given, key=str)}")


class CalibrationShape(OfContract):
    """Calibrated at an input shape other than the model's.

    Why: pictures of another size and aspect show the network other activations, padding above all; ranges found on
    640x640 do not fit 736x1280.

    Fix: calibrate again; qcore reads calibration pictures with the model's own preprocessing.
    """

    id = "CON004"
    hint = "qcore quantize MODEL --calib images/ --quantizer onnxruntime --backend {target} -o out/"

    def said(self, subject: Subject, contract: Contract) -> Iterator[Hit]:
        """Where provenance has a shape whose sizes are not the input's."""
        shape = _provenance(contract, "calibration").get("shape")
        if not isinstance(shape, (list, tuple)) or not shape or not subject.inputs:
            return
        given = subject.inputs[0].shape
        if len(shape) != len(given) or not _fit(tuple(shape)[1:], given[1:]):
            yield Hit(subject.inputs[0].name, f"calibrated at {list(shape)}, the input is {list(given)}")


class ClassCount(OfContract):
    """Numbers of class names and class scores differ.

    Why: results get the names of other classes, or an index without a name.

    Fix: attach the right names.
    """

    id = "CON005"
    severity = "error"

    def said(self, subject: Subject, contract: Contract) -> Iterator[Hit]:
        """Each output whose meaning is known."""
        shapes = {tensor.name: tensor.shape for tensor in subject.outputs}
        for output in contract.outputs:
            found = _classes(output, contract.outputs, shapes.get(output.name, output.shape))
            if found is not None and found != len(contract.classes):
                yield Hit(output.name, f"{found} classes, the contract names {len(contract.classes)}")


class CalibrationHash(OfContract):
    """Contract of a quantized file records no calibration set.

    Why: nobody can tell on what the ranges were found, or whether on anything.

    Fix: quantize with qcore, which keeps the hash, the number and the shape of the inputs.
    """

    id = "CON006"
    hint = "qcore quantize MODEL --calib images/ --quantizer onnxruntime --backend {target} -o out/"

    def said(self, subject: Subject, contract: Contract) -> Iterator[Hit]:
        """Once for the file."""
        if subject.form.encoding not in (None, "float") and not _provenance(contract, "calibration").get("sha256"):
            yield Hit("", "no hash of a calibration set")


class OtherProfile(OfContract):
    """File was written for a different runtime.

    Why: every runtime wants Q/DQ at other places, see the profiles.

    Fix: a table file gives every runtime's file.
    """

    id = "CON007"
    severity = "info"
    hint = "qcore export MODEL.qtable --to onnx --target {target} -o out/"

    def said(self, subject: Subject, contract: Contract) -> Iterator[Hit]:
        """Once for the file."""
        profile = _provenance(contract, "quantization").get("profile")
        if profile and profile != subject.target:
            yield Hit("", f"written for {profile}, checked for {subject.target}")


def _provenance(contract: Contract, part: str) -> Mapping[str, Any]:
    value = contract.provenance.get(part)
    return value if isinstance(value, Mapping) else {}


def _sides(subject: Subject, contract: Contract) -> Iterator[tuple[str, Sequence[Tensor], Sequence[Tensor]]]:
    yield "inputs", contract.inputs, subject.inputs
    yield "outputs", contract.outputs, subject.outputs


def _names(tensors: Sequence[Tensor]) -> str:
    return ", ".join(tensor.name for tensor in tensors) or "none"


def _fit(agreed: Sequence[Any], found: Sequence[Any]) -> bool:
    """Whether sizes agree; a dynamic one fits a dynamic one of another name, and what the file leaves open fits all."""
    return len(agreed) == len(found) and all(
        isinstance(other, str) or (one == other and not isinstance(one, str))
        for one, other in zip(agreed, found, strict=True)
    )


def _classes(output: Tensor, outputs: Sequence[Tensor], shape: Sequence[Any]) -> int | None:
    """How many classes an output has scores for; None where that cannot be told."""
    try:
        layout = layout_of([output] if output.meaning not in ("boxes", "scores") else outputs)
    except UsageError:
        return None
    return layout.count(output, shape) if isinstance(layout, HasClasses) else None


RULES = (NoContract, Signature, Batch, CalibrationShape, ClassCount, CalibrationHash, OtherProfile)
