"""Examples for the conformance checks of the bundled components; see `qcore.testing`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

import qcore
from qcore.plugin import Arrays, Contract, ConverterSpec, Model, Silent, Step, Tensor, load_model, open_file
from qcore.testing import (
    BackendConformance,
    ConverterConformance,
    EvaluatorConformance,
    FormatConformance,
    LoaderConformance,
    PostprocessorConformance,
    PreprocessorConformance,
    QuantizerConformance,
    VerifierConformance,
    made_up,
)
from qcore_kit.boxes.detections import Detections
from qcore_kit.checks import Subject
from qcore_kit.detectors.contracts import DETECT, LETTERBOX
from qcore_kit.testing import (
    AnalyzerConformance,
    LayoutConformance,
    LinterConformance,
    ObserverConformance,
    ProbeConformance,
    ResultConformance,
    zoo,
)

SHAPES = Path(__file__).parent / "tools" / "demo" / "shapes.pt"
"""The demo's detector, a YOLOv5n of four classes."""
SIZE = 64
CELLS = 84
"""Cells of the three levels of that size, one anchor each."""
CLASSES = ("ellipse", "square")


def detector() -> Model:
    """The demo's detector in PyTorch, for small inputs."""
    model: Model = load_model(SHAPES, plugins=qcore.plugins, options={"imgsz": SIZE})
    return model


def exported(form: str, folder: Path) -> Path:
    """A file of the demo's detector."""
    for name, content in _exported(form):
        (folder / name).write_bytes(content)
    return folder / name


@cache
def _exported(form: str) -> list[tuple[str, bytes]]:
    with TemporaryDirectory() as folder:
        main = qcore.recipe(SHAPES, imgsz=SIZE).start().save(folder, to=form)
        files = sorted(Path(folder).iterdir(), key=lambda file: file == main)
        return [(file.name, file.read_bytes()) for file in files]


def exported_model() -> Model:
    """The demo's detector as ONNX."""
    with TemporaryDirectory() as folder:
        model: Model = load_model(exported("onnx", Path(folder)), plugins=qcore.plugins)
        return model


def converted(kind: str, name: str, model: Model) -> Model:
    """What a bundled converter or profile makes of a model."""
    spec = next(spec for spec in qcore.plugins.components() if (spec.kind, spec.name) == (kind, name))
    result: Model = spec.create().convert(model, options=spec.typed(spec.settings({})), progress=Silent())
    return result


class OfCheckpoint(FormatConformance):
    """PyTorch's files."""

    component = "checkpoint"
    known_failures: ClassVar[Mapping[str, str]] = {
        "test_other_files_are_not_its_own": "checkpoints of old releases are plain pickles, read without being run",
    }


class OfOnnx(FormatConformance):
    """The format."""

    component = "onnx"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo."""
        return zoo.example()


class OfOnnxLoader(LoaderConformance):
    """The loader of files without a contract."""

    component = "onnx"
    by_name = True

    def file(self, folder: Path) -> Path:
        """A detector without its contract."""
        import onnx

        model = onnx.load(str(exported("onnx", folder)))
        del model.metadata_props[:]
        path = folder / "foreign.onnx"
        onnx.save(model, str(path))
        return path


class OfTorchOnnx(ConverterConformance):
    """The exporter."""

    component = "torch-onnx"

    def model(self, folder: Path) -> Model:
        """The demo's detector."""
        return detector()


class OfHalf(ConverterConformance):
    """To float16."""

    component = "onnx-fp16"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo."""
        return zoo.example()


class OfFloat(ConverterConformance):
    """Back to float32."""

    component = "onnx-fp32"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo in float16."""
        return converted("converter", "onnx-fp16", zoo.example())


class OfNms(ConverterConformance):
    """Suppression in the graph."""

    component = "onnx-nms"

    def model(self, folder: Path) -> Model:
        """The demo's detector as ONNX."""
        return exported_model()


class OfScaleTable(FormatConformance):
    """Scale tables."""

    component = "table"

    def model(self, folder: Path) -> Model:
        """The table of a graph of the zoo."""
        return zoo.table()


class OfOpenvino(FormatConformance):
    """OpenVINO's files."""

    component = "openvino"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo, converted."""
        return converted("converter", "onnx-openvino", zoo.example())


class OfOnnxOpenvino(ConverterConformance):
    """ONNX to OpenVINO."""

    component = "onnx-openvino"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo."""
        return zoo.example()


class OfOnnxRuntime(BackendConformance):
    """ONNX Runtime, beside itself without optimizations."""

    component = "onnxruntime"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo."""
        return zoo.example()

    def expected(self, model: Model, inputs: Arrays) -> Arrays:
        """Each operation as it is written."""
        from qcore_kit.quantization.literal import literal

        return literal(model.module).run(dict(inputs))


class OfOnnxRuntimeInt8(OfOnnxRuntime):
    """The same in integers: a step of a scale is the difference that rounding makes."""

    tolerance = 0.1

    def model(self, folder: Path) -> Model:
        """A graph of the zoo under the profile."""
        return converted("profile", "onnxruntime", zoo.table())


class OfOpenvinoBackend(BackendConformance):
    """OpenVINO, beside ONNX Runtime."""

    component = "openvino"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo."""
        return converted("converter", "onnx-openvino", zoo.example())

    def expected(self, model: Model, inputs: Arrays) -> Arrays:
        """Of ONNX Runtime."""
        from qcore_kit.quantization.literal import literal

        return literal(zoo.example().module).run(dict(inputs))


class OfTorch(BackendConformance):
    """PyTorch, beside the exported graph."""

    component = "torch"
    tolerance = 1e-3

    def model(self, folder: Path) -> Model:
        """The demo's detector."""
        return detector()

    def expected(self, model: Model, inputs: Arrays) -> Arrays:
        """Of ONNX Runtime."""
        from qcore_kit.quantization.literal import literal

        return literal(converted("converter", "torch-onnx", model).module).run(dict(inputs))


class OfOnnxProbe(ProbeConformance):
    """Inside ONNX graphs."""

    component = "onnx"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo under a profile."""
        return converted("profile", "onnxruntime", zoo.table())


class OfOpenvinoProbe(ProbeConformance):
    """Inside OpenVINO's models."""

    component = "openvino"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo, converted."""
        return converted("converter", "onnx-openvino", zoo.example())


class _Calibrates(QuantizerConformance):
    """A quantizer that makes scale tables; which weights are kept narrow is part of them, the measured loss is told."""

    def fingerprint(self, result: Model) -> Any:
        """Ranges and scales."""
        table = result.module
        narrow = {profile: sorted(narrowing.weights) for profile, narrowing in table.narrowed.items()}
        weights = {name: weight.scale.tobytes() for name, weight in table.weights.items()}
        return dict(table.ranges), weights, sorted(table.excluded), narrow

    def written(self, result: Model) -> Model:
        """Under a profile."""
        return converted("profile", "onnxruntime", result)


class OfOnnxRuntimeQuantizer(_Calibrates):
    """Calibration on ONNX Runtime."""

    component = "onnxruntime"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo."""
        return zoo.example()


class OfNncf(QuantizerConformance):
    """NNCF on OpenVINO's models."""

    component = "nncf"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo, converted."""
        return converted("converter", "onnx-openvino", zoo.example())


class OfPytorchQuantization(_Calibrates):
    """Calibration in PyTorch."""

    component = "pytorch-quantization"

    def model(self, folder: Path) -> Model:
        """The demo's detector."""
        return detector()


class OfModelopt(OfPytorchQuantization):
    """The same by Model Optimizer."""

    component = "modelopt"


class OfNoise(AnalyzerConformance):
    """Sensitivity."""

    component = "noise"

    def model(self, folder: Path) -> Model:
        """A graph of the zoo."""
        return zoo.example()


class OfExample(VerifierConformance):
    """Results of converters on an example."""

    component = "example"

    def step(self) -> ConverterSpec:
        """To float16."""
        return self.host.get(ConverterSpec, "onnx-fp16")

    def before(self) -> Model:
        """A detector, of whose preprocessing an example can be asked."""
        return exported_model()

    def good(self) -> Model:
        """As the converter makes it."""
        return converted("converter", "onnx-fp16", self.before())

    def bad(self) -> Model:
        """With the weights of one convolution in another order."""
        from onnx import numpy_helper

        good = self.good()
        weight = next(tensor for tensor in good.module.graph.initializer if len(tensor.dims) == 4)
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[::-1].copy(), weight.name))
        return good


class OfLetterbox(PreprocessorConformance):
    """Pictures."""

    component = "letterbox"
    params: ClassVar[Mapping[str, Any]] = LETTERBOX

    def tensors(self) -> Sequence[Tensor]:
        """One square picture."""
        return (Tensor("images", "float32", (1, 3, SIZE, SIZE), "NCHW"),)

    def item(self, folder: Path) -> Any:
        """A picture file."""
        import cv2

        path = folder / "picture.png"
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (48, 80, 3), np.uint8))
        return path

    def odd(self) -> Sequence[Any]:
        """None, one pixel, one row, a large picture."""
        return [np.zeros((*size, 3), np.uint8) for size in ((0, 0), (1, 1), (1, 5000), (2500, 2500))]


class OfYolo(PostprocessorConformance):
    """Boxes and scores."""

    component = "yolo"
    params: ClassVar[Mapping[str, Any]] = DETECT
    classes = CLASSES

    def tensors(self) -> Sequence[Tensor]:
        """One joined output."""
        return (_output("boxes-classes", (1, 4 + len(CLASSES), CELLS)),)

    def outputs(self, seed: int) -> Arrays:
        """Some boxes with high scores."""
        chance = np.random.default_rng(seed)
        boxes = chance.uniform(8, SIZE - 8, (1, 4, CELLS))
        scores = chance.random((1, len(CLASSES), CELLS)) ** 4
        return {"output0": np.concatenate([boxes, scores], 1).astype(np.float32)}

    def context(self) -> Any:
        """Of a picture as large as the input."""
        from qcore.plugin import PreprocessorSpec

        letterbox = self.host.get(PreprocessorSpec, "letterbox").create(LETTERBOX, OfLetterbox().tensors())
        return letterbox.prepare(np.zeros((SIZE, SIZE, 3), np.uint8)).context


def _output(meaning: str, shape: tuple[int | str, ...], stage: str = "decoded", **attributes: Any) -> Tensor:
    return Tensor("output0", "float32", shape, meaning=meaning, stage=stage, attributes=attributes)


def _levels(meaning: str, shape: Any, **attributes: Any) -> list[Tensor]:
    return [
        replace(_output(meaning, shape(SIZE // stride), "raw", stride=stride, **attributes), name=f"level{stride}")
        for stride in (8, 16, 32)
    ]


class OfObjectness(LayoutConformance):
    """With objectness."""

    component = "boxes-objectness-classes"

    def tensors(self) -> Sequence[Tensor]:
        """Rows."""
        return [_output(self.component, (1, CELLS, 7))]


class OfColumns(LayoutConformance):
    """Boxes as columns."""

    component = "boxes-classes"

    def tensors(self) -> Sequence[Tensor]:
        """Columns."""
        return [_output(self.component, (1, 6, CELLS))]


class OfRows(OfObjectness):
    """Boxes as rows."""

    component = "boxes-classes-rows"


class OfCorners(OfColumns):
    """Corners as columns."""

    component = "corners-classes"


class OfCornerRows(OfObjectness):
    """Corners as rows."""

    component = "corners-classes-rows"


class OfLabelled(LayoutConformance):
    """The best class of each box."""

    component = "corners-score-class"
    stage: ClassVar[str] = "decoded"

    def tensors(self) -> Sequence[Tensor]:
        """Rows of six."""
        return [_output("corners-score-class", (1, 20, 6), self.stage, classes=2)]

    def values(self, seed: int) -> Arrays:
        """Classes are whole numbers."""
        values = {name: np.array(value) for name, value in made_up(self.tensors(), seed).items()}
        values["output0"][..., 5] = values["output0"][..., 5].round()
        return values


class OfSelected(OfLabelled):
    """Selected boxes."""

    component = "corners-score-class-selected"
    stage = "nms"


class OfApart(LayoutConformance):
    """Two outputs."""

    component = "boxes-scores"

    def tensors(self) -> Sequence[Tensor]:
        """Boxes and scores."""
        return [
            replace(_output("boxes", (1, CELLS, 4)), name="boxes"),
            replace(_output("scores", (1, CELLS, 2)), name="scores"),
        ]


class OfRawAnchors(LayoutConformance):
    """Heads with anchors."""

    component = "raw-anchors"

    def tensors(self) -> Sequence[Tensor]:
        """Three levels."""
        anchors = [[8, 8], [8, 16], [16, 8]]
        return _levels("boxes-objectness-classes", lambda side: (1, 3, side, side, 7), anchors=anchors)


class OfRawBins(LayoutConformance):
    """Heads with bins."""

    component = "raw-bins"

    def tensors(self) -> Sequence[Tensor]:
        """Three levels."""
        return _levels("boxes-classes", lambda side: (1, 4 * 16 + 2, side, side), bins=list(range(16)))


class OfDetection(EvaluatorConformance):
    """AP."""

    component = "detection"

    def contract(self) -> Contract:
        """Of two classes."""
        tensor = Tensor("images", "float32", (1, 3, SIZE, SIZE), "NCHW")
        output = _output("boxes-classes", (1, 6, CELLS))
        return Contract("detection", (tensor,), (output,), Step("letterbox", LETTERBOX), Step("yolo", DETECT), CLASSES)

    def data(self, folder: Path) -> Any:
        """Two pictures with a box each."""
        import cv2

        for number in range(2):
            cv2.imwrite(str(folder / f"{number}.png"), np.zeros((SIZE, SIZE, 3), np.uint8))
        document = {
            "images": [
                {"id": number, "file_name": f"{number}.png", "width": SIZE, "height": SIZE} for number in range(2)
            ],
            "categories": [{"id": place + 1, "name": name} for place, name in enumerate(CLASSES)],
            "annotations": [
                {"id": 1 + n, "image_id": n, "category_id": n + 1, "bbox": [8, 8, 32, 24], "area": 768, "iscrowd": 0}
                for n in range(2)
            ],
        }
        path = folder / "instances.json"
        path.write_text(json.dumps(document))
        return path

    def right(self, place: int, item: Any) -> Any:
        """The box."""
        box = np.array([[8, 8, 40, 32]], np.float32)
        return Detections(box, np.array([0.9], np.float32), np.array([place], np.int64), CLASSES)

    def empty(self) -> Any:
        """No box."""
        return _none()

    def raw(self, place: int, item: Any) -> Any:
        """A black picture."""
        return np.zeros((SIZE, SIZE, 3), np.uint8)


def _none() -> Detections:
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), CLASSES)


class OfDetectionResults(ResultConformance):
    """Boxes on pictures."""

    component = "detection"

    def result(self) -> Any:
        """One box."""
        return OfDetection().right(0, None)

    def empty(self) -> Any:
        """No box."""
        return _none()

    def raw(self) -> Any:
        """A black picture."""
        return np.zeros((SIZE, SIZE, 3), np.uint8)


class OfReport(ObserverConformance):
    """`--report`."""

    component = "report"

    def options(self, folder: Path) -> dict[str, Any]:
        """Into a folder."""
        return {"report": folder / "report"}


class OfYolov5(LoaderConformance):
    """YOLOv5."""

    component = "yolov5"

    def file(self, folder: Path) -> Path:
        """The demo's checkpoint."""
        return SHAPES


class OfOpenvinoLoader(LoaderConformance):
    """OpenVINO's files without a contract."""

    component = "openvino"
    by_name = True

    def file(self, folder: Path) -> Path:
        """A detector without its contract."""
        import openvino

        model = openvino.Core().read_model(str(exported("openvino", folder)))
        path = folder / "foreign.xml"
        clean = openvino.Model(model.get_results(), model.get_parameters(), "foreign")
        openvino.save_model(clean, str(path), compress_to_fp16=False)
        return path


class OfOnnxRules(LinterConformance):
    """Rules on ONNX files."""

    component = "onnx"
    target: ClassVar[str] = "onnxruntime"

    def subject(self, folder: Path) -> Subject:
        """A quantized file of the demo's detector's kind."""
        return _subject(self.written(folder), self.target)

    def written(self, folder: Path) -> Path:
        """A graph of the zoo under a profile, as a file."""
        return _written(converted("profile", "onnxruntime", zoo.table()), "onnx", folder)


def _written(model: Model, form: str, folder: Path) -> Path:
    from qcore.plugin import FormatSpec

    spec = qcore.plugins.get(FormatSpec, form)
    written = spec.create().write(model, folder / f"model{spec.suffix}")
    return Path(written[-1])


def _subject(path: Path, target: str) -> Subject:
    opened = open_file(path, qcore.plugins)
    inputs, outputs = opened.format.signature(opened.content)
    return Subject(path, opened.spec.name, opened.content, opened.form, opened.contract, inputs, outputs, target)


class OfContractRules(OfOnnxRules):
    """Rules on contracts."""

    component = "contract"


class OfSaturationRules(OfOnnxRules):
    """Rules on saturating sums."""

    component = "saturation"


class OfOnnxRuntimeRules(OfOnnxRules):
    """What ONNX Runtime computes wrong or slowly."""

    component = "onnxruntime"


class OfOpenvinoOnnxRules(OfOnnxRules):
    """What OpenVINO does with ONNX files."""

    component = "openvino-onnx"
    target = "openvino"


class OfTensorrtOnnxRules(OfOnnxRules):
    """What TensorRT does with ONNX files."""

    component = "tensorrt-onnx"
    target = "tensorrt"


class OfOpenvinoRules(OfOnnxRules):
    """Rules on OpenVINO's own files."""

    component = "openvino"
    target = "openvino"

    def written(self, folder: Path) -> Path:
        """A graph of the zoo under the profile, converted."""
        quantized = converted("profile", "openvino", zoo.table())
        return _written(converted("converter", "onnx-openvino", quantized), "openvino", folder)
