"""Quantized files as other tools write them with their defaults, and ours; used by check_foreign.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("NNCF_CI", "1")  # no telemetry
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import onnx

import qcore
from qcore_kit.onnxfile.metadata import with_contract

TARGETS = ("tensorrt", "openvino", "onnxruntime")
PICTURES = 16
"""To calibrate with."""


class Reader:
    """Calibration pictures, as ONNX Runtime's quantizer reads them."""

    def __init__(self, batches: list[dict[str, Any]]) -> None:
        self._left = iter(batches)

    def get_next(self) -> dict[str, Any] | None:
        """The next batch."""
        return next(self._left, None)


def onnxruntime_default(float_: Path, batches: list[dict[str, Any]], out: Path) -> None:
    """`quantize_static(model, out, reader)`."""
    from onnxruntime.quantization import quantize_static

    quantize_static(str(float_), str(out), Reader(batches))


def nncf_onnx(float_: Path, batches: list[dict[str, Any]], out: Path) -> None:
    """`nncf.quantize(onnx_model, dataset)`."""
    import nncf

    onnx.save(nncf.quantize(onnx.load(str(float_)), nncf.Dataset(batches)), str(out))


def modelopt_torch(weights: Path, batches: list[dict[str, Any]], out: Path) -> None:
    """`mtq.quantize(model, INT8_DEFAULT_CFG, forward)`, then the TorchScript exporter: the other one fails."""
    import modelopt.torch.quantization as mtq
    import torch

    module = qcore.recipe(weights).start().model("loaded").module.eval()
    pictures = [torch.from_numpy(batch["images"]) for batch in batches]
    made = mtq.quantize(module, mtq.INT8_DEFAULT_CFG, lambda model: [model(picture) for picture in pictures])
    with torch.no_grad():
        torch.onnx.export(
            made, (pictures[0],), str(out), dynamo=False, opset_version=17, input_names=["images"],
            output_names=["output0"],
        )  # fmt: skip


def made(assets: Path, work: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of every file: the float one, those of other tools, and ours for each runtime."""
    weights, calib = assets / "weights" / "yolov5n-coco.pt", assets / "coco-calib" / "images"
    run = qcore.recipe(weights).start()
    contract = run.model("onnx").contract
    float_ = run.save(work / "float", to="onnx")
    batches = list(run.inputs(calib, limit=PICTURES))
    yield "float export", float_
    for name, tool, source in (
        ("ONNX Runtime quantize_static", onnxruntime_default, float_),
        ("NNCF on ONNX", nncf_onnx, float_),
        ("modelopt from torch", modelopt_torch, weights),
    ):
        path = work / f"{name.replace(' ', '-')}.onnx"
        if not path.exists():
            tool(source, batches, path)
            onnx.save(with_contract(onnx.load(path), contract), path)
        yield name, path
    table = run.vary(run.recipe.with_quantizer("onnxruntime", calibration=calib, limit=PICTURES))
    for target in TARGETS:
        yield f"qcore for {target}", table.save(work / target, to=qcore.Form("onnx", profile=target))
