"""The command `demo`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import qcore
from qcore.plugin import Judge, Predictor, Recipe, Run
from qcore_kit import recipes
from qcore_kit.results import results_of
from qcore_kit.timing import interleaved

CHECKPOINT = Path(__file__).parent / "shapes.pt"
CALIBRATION, LABELLED, SHOWN = 96, 200, 6
"""Numbers of generated pictures: to calibrate with, to measure on, to draw."""
SEEDS = {"calibration": 7_000_001, "labelled": 7_000_002}
"""Not the seed the detector was trained with: no picture was seen before."""
COMBINATIONS = ((None, "onnxruntime"), ("onnxruntime", "onnxruntime"), (None, "openvino"), ("nncf", "openvino"))
"""(quantizer, backend); a float one stands before what is compared with it."""


@dataclass
class _Result:
    quantizer: str | None
    backend: str
    predictor: Predictor
    files: list[Path]
    figures: Mapping[str, Any]
    milliseconds: float = 0.0

    @property
    def size(self) -> int:
        return sum(file.stat().st_size for file in self.files)

    @property
    def file(self) -> Path:
        return self.files[-1]


class Demo:
    """The main job, on a small detector that ships with the package."""

    example = "qcore demo -o demo-out/"

    def arguments(self, parser: argparse.ArgumentParser, host: Any) -> None:  # noqa: ARG002
        """Where the files go."""
        parser.add_argument(
            "-o", "--out", default="demo-out", metavar="DIR", help="directory to write (default: demo-out)"
        )

    def run(self, options: argparse.Namespace, output: Any, host: Any) -> int:
        """Quantize two ways, run on two backends, measure accuracy and time, draw some pictures."""
        from qcore.plugin import output_directory
        from qcore_plugins.tools.demo import shapes

        start = time.monotonic()
        out = output_directory(options.out)
        run = qcore.recipe(CHECKPOINT).start(progress=output.progress, host=host)
        for quantizer, backend in COMBINATIONS:
            run.vary(self._continued(run.recipe, quantizer, backend, out)).plan().require()
        output.note(f"generating {CALIBRATION} pictures to calibrate with and {LABELLED} labelled ones")
        shapes.write(out / "calibration", CALIBRATION, SEEDS["calibration"])
        labels = shapes.write(out / "labelled", LABELLED, SEEDS["labelled"])
        output.note(f"reading {CHECKPOINT.name}, exporting it to ONNX and comparing the export with it")
        run.model("onnx")
        results = [self._measured(run, quantizer, backend, out, labels, output) for quantizer, backend in COMBINATIONS]
        output.note("timing, all in turns")
        self._time(results)
        drawn = self._draw(results[-1].file, out)
        self._report(results, drawn, time.monotonic() - start, output)
        return 0

    def _continued(self, recipe: Recipe, quantizer: str | None, backend: str, out: Path) -> Recipe:
        if quantizer:
            recipe = recipe.with_quantizer(quantizer, calibration=out / "calibration" / "images")
        return recipe.with_backend(backend)

    def _measured(self, run: Run, quantizer: str | None, backend: str, out: Path, labels: Path, output: Any) -> _Result:
        output.note(f"{quantizer or 'float'} on {backend}: exporting and evaluating")
        varied = run.vary(self._continued(run.recipe, quantizer, backend, out))
        files = recipes.save(varied, out / f"{quantizer or 'float'}-{backend}")
        predictor = qcore.predictor(files[-1], backend, protocol="upstream")
        figures = Judge(run.host, labels, progress=output.progress).evaluation(predictor).figures
        return _Result(quantizer, backend, predictor, files, figures)

    def _time(self, results: list[_Result]) -> None:
        pictures = sorted((results[0].file.parents[1] / "labelled" / "images").iterdir())
        preprocessor = results[0].predictor.preprocessor
        arrays = preprocessor.prepare(preprocessor.read(pictures[0])).arrays
        for backend in dict.fromkeys(
            result.backend for result in results
        ):  # threads of two runtimes disturb each other
            compared = [result for result in results if result.backend == backend]
            runs = {str(place): partial(one.predictor.session.run, arrays) for place, one in enumerate(compared)}
            for place, milliseconds in interleaved(runs, rounds=60).items():
                compared[int(place)].milliseconds = milliseconds

    def _draw(self, file: Path, out: Path) -> list[Path]:
        """Some pictures with what the INT8 file finds at its own thresholds."""
        detector = qcore.predictor(file)
        folder = out / "annotated"
        folder.mkdir(exist_ok=True)
        pictures = sorted((out / "labelled" / "images").iterdir())[:SHOWN]
        written = []
        for picture, (_, raw, found) in zip(pictures, detector.run(pictures), strict=True):
            written.append(folder / f"{picture.stem}.jpg")
            results_of(detector.contract, qcore.plugins)[0].draw(raw, found, written[-1])
        return written

    def _report(self, results: list[_Result], drawn: list[Path], seconds: float, output: Any) -> None:
        rows = []
        for result in results:
            plain = next(other for other in results if other.backend == result.backend and other.quantizer is None)
            rows.append(
                {
                    "quantizer": result.quantizer or "float",
                    "backend": result.backend,
                    "executed_precision": result.predictor.executed_precision,
                    "AP": round(result.figures["AP"], 4),
                    "AP_change": round(result.figures["AP"] - plain.figures["AP"], 4),
                    "AP50": round(result.figures["AP50"], 4),
                    "ms": round(result.milliseconds, 2),
                    "speedup": round(plain.milliseconds / result.milliseconds, 2),
                    "MB": round(result.size / 1e6, 2),
                    "file": str(result.file),
                }
            )
        if output.json:
            output.result({"rows": rows, "pictures": [str(path) for path in drawn], "seconds": round(seconds, 1)})
            return
        columns = ("QUANTIZER", "BACKEND", "PRECISION", "AP", "CHANGE", "AP50", "MS", "SPEED", "MB")
        cells = [
            (
                row["quantizer"],
                row["backend"],
                row["executed_precision"],
                *(f"{row['AP']:.4f}", f"{row['AP_change']:+.4f}", f"{row['AP50']:.4f}"),
                *(f"{row['ms']:.2f}", f"{row['speedup']:.2f}x", f"{row['MB']:.2f}"),
            )
            for row in rows
        ]
        output.table(f"{LABELLED} labelled pictures, {drawn[0].parents[1]}", columns, cells)
        output.say(f"annotated pictures: {drawn[0].parent}/   took {seconds:.0f} s")
