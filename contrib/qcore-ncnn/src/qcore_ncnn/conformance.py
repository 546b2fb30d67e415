"""Examples for `qcore check-plugin ncnn`: a small detector in float, and the same in int8."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from qcore.plugin import Arrays, Model, Silent, open_file
from qcore.testing import BackendConformance, ConverterConformance, FormatConformance
from qcore_kit.checks import Subject
from qcore_kit.quantization.literal import literal
from qcore_kit.testing import LinterConformance, ProbeConformance, zoo


def in_float() -> Model:
    """The detector as ncnn layers."""
    from qcore_ncnn.convert import OnnxToNcnn

    return OnnxToNcnn().convert(zoo.example(), options={}, progress=Silent())


def in_integers() -> Model:
    """The same with int8 convolutions."""
    from qcore_ncnn.convert import OnnxToNcnn

    return OnnxToNcnn().convert(zoo.written(zoo.table(), "ncnn"), options={}, progress=Silent())


class Converter(ConverterConformance):
    component = "onnx-ncnn"

    def model(self, folder: Path) -> Model:  # noqa: ARG002
        return zoo.written(zoo.table(), "ncnn")


class Format(FormatConformance):
    component = "ncnn"

    def model(self, folder: Path) -> Model:  # noqa: ARG002
        return in_integers()


class Backend(BackendConformance):
    component = "ncnn"
    tolerance: ClassVar[float] = 1e-4

    def model(self, folder: Path) -> Model:  # noqa: ARG002
        return in_float()

    def expected(self, model: Model, inputs: Arrays) -> Arrays:  # noqa: ARG002
        return literal(zoo.example().module).run(inputs)


class Probe(ProbeConformance):
    component = "ncnn"

    def model(self, folder: Path) -> Model:  # noqa: ARG002
        return in_integers()


class Files(LinterConformance):
    component = "ncnn"

    def subject(self, folder: Path) -> Subject:
        return _subject(in_integers(), folder, "ncnn")


class Graphs(LinterConformance):
    component = "ncnn-onnx"

    def subject(self, folder: Path) -> Subject:
        return _subject(zoo.written(zoo.table(), "ncnn"), folder, "onnx")


def _subject(model: Model, folder: Path, kind: str) -> Subject:
    import qcore
    from qcore.plugin import FormatSpec

    spec = qcore.plugins.get(FormatSpec, kind)
    file = list(spec.create().write(model, folder / f"model{spec.suffix}"))[-1]
    opened = open_file(file, qcore.plugins)
    inputs, outputs = opened.format.signature(opened.content)
    return Subject(file, kind, opened.content, opened.form, opened.contract, inputs, outputs, "ncnn")
