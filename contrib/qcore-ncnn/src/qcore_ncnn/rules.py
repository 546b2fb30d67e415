"""Rules for ncnn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from qcore_kit.checks import Documented, Hit, Rule, Subject
from qcore_ncnn.layers import WEIGHTED


class ForNcnn(Documented):
    """A rule for ncnn alone."""

    targets: ClassVar[tuple[str, ...]] = ("ncnn",)
    hint: ClassVar[str] = "qcore export MODEL.qtable --to ncnn --profile ncnn -o out/"


class UnwritableOperators(ForNcnn):
    """ncnn has no layer for an operator.

    Or the converter of qcore-ncnn writes none: it knows the operators of YOLOv5, YOLOv9 and YOLO-NAS and some more, on
    one input of a fixed size.

    Why: the file is refused.

    Fix: end the graph at the decoded boxes or at the raw outputs, whose decode qcore's postprocessor computes.
    """

    id = "NCNN001"
    severity = "error"
    hint = "qcore export MODEL --to ncnn --head raw -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each node, and why."""
        from qcore.plugin import FileError
        from qcore_kit.onnxfile.view import View
        from qcore_ncnn.convert import single
        from qcore_ncnn.writing import faults

        try:
            view = View(single(subject.content))
        except FileError as error:
            yield Hit("", error.message)
            return
        for name, fault in faults(view):
            yield Hit(name, fault)


class AroundZero(ForNcnn):
    """Quantized activations are not int8 around 0.

    Why: ncnn multiplies by one scale and rounds to -127..127; it has no zero point and no uint8. There is no route from
    such a file to ncnn.

    Fix: quantize for ncnn; `--profile ncnn` writes a scale table so.
    """

    id = "NCNN002"
    severity = "error"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q on activations."""
        from qcore_kit.onnxfile.view import whole

        for name, scale in subject.derived(whole).activations.items():
            if scale.kind != "int8" or scale.points is None or np.any(scale.points):
                yield Hit(name, str(scale))


class FloatLayers(ForNcnn):
    """Quantized layer runs in float.

    Why: ncnn has int8 for Convolution, ConvolutionDepthWise and InnerProduct, with one scale for the input and one for
    each output channel, or each group. A ConvTranspose, a convolution of several groups that is not depthwise, or a
    weight with scales per block computes in float with the weights that were stored: correct and no faster.

    Fix: nothing, or leave the layer float: `--exclude LAYER`.
    """

    id = "NCNN003"
    severity = "info"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each layer with quantized weights."""
        from qcore_kit.onnxfile.view import whole
        from qcore_ncnn.writing import Writer, in_integers

        view = subject.derived(whole)
        writer = Writer(view)
        for node, stored, _, weight in view.weighted():
            if weight is not None and not in_integers(writer, stored):
                yield Hit(node.name, f"{node.layer}: {node.op}, weights {weight}")


class UnroundedTensors(ForNcnn):
    """Q/DQ where ncnn rounds nothing.

    Why: ncnn rounds what an int8 layer reads, by the Q right before it. A Q elsewhere, such as before a sum, is left
    out: the file computes more exactly than the graph, and not what a simulation of the graph said.

    Fix: `--profile ncnn` writes Q/DQ only where ncnn rounds.
    """

    id = "NCNN004"
    severity = "info"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each Q whose values no int8 layer reads."""
        from qcore_kit.onnxfile.view import whole
        from qcore_ncnn.writing import Writer, in_integers

        view = subject.derived(whole)
        writer = Writer(view)
        used = {stored.input[0] for _, stored, _, _ in view.weighted() if in_integers(writer, stored)}
        for name in view.activations:
            rounded = {made for reader in view.readers.get(view.nodes[name].output[0], ()) for made in reader.output}
            if not rounded & used:
                yield Hit(name, f"{view.nodes[name].input[0]} is not rounded")


class LayersInFloat(ForNcnn):
    """Layer of an INT8 file runs in float.

    Why: its weights are float32, four times as large, and it is slower than in int8. The last layers before the decode
    stay float by choice.

    Fix: nothing, unless there are more of them than the quantization was told to leave.
    """

    id = "NCNN101"
    severity = "info"
    hint = ""

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each layer, where others are integer ones."""
        layers = [layer for layer in subject.content.layers if layer.kind in WEIGHTED]
        if any(layer.is_integer for layer in layers):
            for layer in layers:
                if not layer.is_integer:
                    yield Hit(layer.name, f"{layer.kind}, {layer.weights[0].size} weights in float32")


class DeadScales(ForNcnn):
    """Int8 layer whose input hardly moves.

    Why: with steps as large as what the layer reads, every value is rounded to the same few numbers.

    Fix: calibrate with pictures like those that the model will see.
    """

    id = "NCNN102"
    hint = "qcore quantize MODEL --calib images/ --backend ncnn -o out/"

    def hits(self, subject: Subject) -> Iterator[Hit]:
        """Each layer whose input has a range of less than a step of float32 around 1, or an endless one."""
        for layer in subject.content.layers:
            if layer.is_integer and not 1e-4 < float(layer.weights[-1][0]) < 1e8:
                yield Hit(layer.name, f"reads values up to {127 / float(layer.weights[-1][0]):.3g}")


class NcnnLinter:
    """Rules on ncnn files."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        return [LayersInFloat(), DeadScales()]


class OnnxForNcnnLinter:
    """Rules on ONNX graphs."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        return [UnwritableOperators(), AroundZero(), FloatLayers(), UnroundedTensors()]
