"""INT8 against float on each CPU runtime, side by side: one process, in turns, the float precision pinned to f32.

    python benchmarks/int8_speed.py yolov5n.pt --calib images/

Prints the median milliseconds of one inference (batch 1, without pre- and postprocessing) and the ratio.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from importlib.metadata import version

import numpy as np

import qcore
from qcore import machine
from qcore.timing import interleaved

COMBINATIONS = (("onnxruntime", "onnxruntime"), ("nncf", "openvino"), ("onnxruntime", "openvino"))
"""(quantizer, backend)."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--calib", required=True)
    parser.add_argument("--imgsz", type=int, nargs="+")
    parser.add_argument("--limit", type=int, default=64, help="pictures to calibrate with; speed does not depend on it")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    size = {"imgsz": options.imgsz if len(options.imgsz) > 1 else options.imgsz[0]} if options.imgsz else {}
    exported = qcore.pipeline(weights=options.weights, **size).at("onnx")
    cpu = machine.cpu()
    packages = (f"{name} {version(name)}" for name in ("onnxruntime", "openvino", "nncf"))
    print(f"{cpu['model']} ({', '.join(cpu['flags'] or [])})", *packages, sep=", ")
    for quantizer, backend in COMBINATIONS:
        with tempfile.TemporaryDirectory() as folder:
            made = exported.quantize(quantizer, calibration=options.calib, limit=options.limit).to(backend).save(folder)
            both = {"f32": exported.to(backend).build(), "int8": qcore.pipeline(weights=made).to(backend).build()}
        tensor = both["f32"].contract.inputs[0]
        picture = {tensor.name: np.random.default_rng(0).random(tensor.shape, np.float32)}
        runs = {name: partial(predictor.session.run, picture) for name, predictor in both.items()}
        taken = interleaved(runs, rounds=options.rounds)
        print(
            f"{quantizer} on {backend}: {both['f32'].executed_precision} {taken['f32']:.1f} ms, "
            f"{both['int8'].executed_precision} {taken['int8']:.1f} ms, {taken['f32'] / taken['int8']:.2f}x"
        )


if __name__ == "__main__":
    main()
