"""The converter `onnx-tensorrt`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qcore.plugin import Model, Progress, UsageError, output_directory
from qcore_kit.onnxfile.metadata import with_contract
from qcore_plugins.runtimes.tensorrt.building import refusal, run
from qcore_plugins.runtimes.tensorrt.child import Request
from qcore_plugins.runtimes.tensorrt.format import Engine
from qcore_plugins.runtimes.tensorrt.packages import choose
from qcore_plugins.runtimes.tensorrt.shapes import batch_range, optimization_profile


class OnnxToTensorRt:
    """Builds an engine; types and quantization are those of the file, the builder is given no choice of them."""

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:
        """The engine with the same inputs, outputs and contract.

        Raises:
            FileError: TensorRT refuses the file, or its builder crashes on it.
            MissingDevice: This TensorRT needs a GPU to build.
            UsageError: Suppression inside the graph, or a range of batches that is none.
        """
        if model.form.head == "nms":
            raise UsageError(
                "TensorRT has no implementation of ONNX NonMaxSuppression, so it cannot stand inside the graph",
                hint="omit --head nms: qcore runs the NMS after the engine, with the same result",
            )
        batches = batch_range(options["batch_range"])
        _check(options)
        request = Request(
            package=choose(options["package"]),
            onnx="",
            shapes=optimization_profile(model.contract.inputs, batches),
            compute_capability=[str(version) for version in options["compute_capability"]],
            workspace=options["workspace"],
            timing_cache=options["timing_cache"],
            verbose=options["verbose"],
        )
        proto = with_contract(model.module, model.contract).SerializeToString()
        built = run(request, proto, say=progress.say if options["verbose"] else None)
        if built.errors:
            raise refusal(str(model.notes.get("file", "model")), built)
        facts = {
            "package": request.package,
            "version": built.version,
            "onnx_sha256": hashlib.sha256(proto).hexdigest(),
            "compute_capability": request.compute_capability,
            "build_seconds": round(built.seconds, 3),
            **({"batch_range": list(batches)} if request.shapes else {}),
        }
        tools = {**dict(model.contract.provenance.get("tools", {})), request.package: built.version}
        contract = replace(model.contract, provenance={**model.contract.provenance, "tools": tools})
        form = replace(model.form, format="tensorrt")
        return model.evolve(form=form, module=Engine(built.plan, facts, contract, form), contract=contract)


def _check(options: Mapping[str, Any]) -> None:
    """Refuse before the builder has worked what it or the disk would refuse after."""
    if options["workspace"] < 0:
        raise UsageError(f"--workspace {options['workspace']}: MiB, from 0 upwards")
    if options["timing_cache"] is None:
        return
    path = Path(options["timing_cache"])
    if not path.name or path.is_dir():
        raise UsageError(f"--timing-cache {options['timing_cache']!r}: a file is wanted, not a folder")
    output_directory(path.parent)
