"""Every quantizer on every runtime for one checkpoint: a table, and the best file is kept.

python every_combination.py yolov5n.pt images/ instances.json out/
"""

import shutil
import sys
from pathlib import Path

import qcore
from qcore.plugin import BackendSpec, QcoreError, QuantizerSpec
from qcore_plugins.verbs import benchmark, export, quantize


def main(checkpoint, pictures, labels, out):
    """Print a row for each combination; gives the rows, the best one first."""
    base, rows = qcore.recipe(checkpoint), []
    with base.start() as run:  # the checkpoint is loaded once, and exported once
        before = export(base, out / "float", to="onnx")
        for quantizer in qcore.plugins.specs(QuantizerSpec):
            for backend in qcore.plugins.specs(BackendSpec):
                int8 = base.with_quantizer(quantizer, calibration=pictures).with_backend(backend)
                try:
                    made = quantize(run.vary(int8), out / f"{quantizer.name}-{backend.name}")
                    ap = qcore.evaluate(made["file"], labels, backend, protocol="upstream").figures["AP"]
                    speed = benchmark([before, made["file"]], backends=[backend.name], rounds=4, launches=1)
                except QcoreError as error:  # a runtime that is not here, a combination that leads nowhere
                    print(f"{quantizer.name:<22} {backend.name:<12} {error.message}")
                    continue
                facts = made["parity"]["summary"], speed.files[1].ratios["inference"].ratio, made["bytes"]
                rows.append((ap, quantizer.name, backend.name, *facts, made["file"]))
                print("{1:<22} {2:<12} AP {0:.4f}  {4:.2f}x  {5} bytes; {3}".format(*rows[-1]))
    shutil.copytree(Path(max(rows)[-1]).parent, out / "best", dirs_exist_ok=True)
    return sorted(rows, reverse=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
