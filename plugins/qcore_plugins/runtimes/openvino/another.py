"""OpenVINO as on a CPU of another kind: in a process of its own, whose oneDNN uses fewer of the CPU's instructions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from qcore.plugin import FileError, MissingDevice
from qcore_kit import machine
from qcore_plugins.runtimes.openvino.child import receive, send

VARIABLE = "ONEDNN_MAX_CPU_ISA"
"""What oneDNN reads when it is loaded; it masks downwards only."""
WITHOUT_VNNI = {"SSE41", "AVX", "AVX2", "AVX512_CORE"}
"""Its values whose kernels add products in 16 bits."""


def here() -> str | None:
    """The kind of CPU that OpenVINO computes as in this process, as in `machine.kind`."""
    return "avx2" if os.environ.get(VARIABLE, "").upper() in WITHOUT_VNNI else machine.kind()


def mask(asked: str) -> str | None:
    """The instructions that oneDNN is left with to compute as a kind of CPU; None where it does so as it is.

    Args:
        asked: One of `machine.CPUS`.

    Raises:
        MissingDevice: This CPU cannot compute so.
    """
    own = here()
    if asked in (machine.THIS, own):
        return None
    if platform.machine().lower() not in ("x86_64", "amd64"):
        raise MissingDevice(
            f"openvino cannot compute as an x86 CPU of kind {asked} on {platform.machine()}",
            hint="choose --backend onnxruntime, whose arithmetic is computed on any machine",
        )
    if asked == "vnni" and own != "amx":
        raise MissingDevice(
            "openvino cannot compute as a CPU with VNNI on a CPU without it",
            hint="run it on a CPU with VNNI, or choose --backend onnxruntime, which can compute exactly on this one",
        )
    return "AVX2" if asked == "avx2" else "AVX512_CORE_VNNI"


class AnotherSession:
    """A model that is compiled and run in a process of its own."""

    def __init__(self, model: openvino.Model, outputs: Sequence[str], cpu: str, config: Mapping[str, Any]) -> None:
        self.cpu = cpu
        self.executed_precision = f"int8 (f32), as a CPU of kind {cpu}"
        self._outputs = tuple(outputs)
        self._folder = tempfile.TemporaryDirectory(prefix="qcore-")
        path = Path(self._folder.name) / "model.xml"
        openvino.save_model(model, str(path), compress_to_fp16=False)
        self._errors = (Path(self._folder.name) / "errors").open("w+b")
        self._process = subprocess.Popen(  # noqa: S603 - this program's own module
            [sys.executable, "-m", "qcore_plugins.runtimes.openvino.child", str(path), json.dumps(dict(config))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, VARIABLE: str(mask(cpu)), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._finalizer = weakref.finalize(self, _end, self._process, self._errors, self._folder)
        self._answer()

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; all outputs."""
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        try:
            send(self._process.stdin, inputs)
        except BrokenPipeError:
            raise self._ended() from None
        given = self._answer()
        return {name: given[name] for name in self._outputs}

    def _answer(self) -> dict[str, np.ndarray]:
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe
        given = receive(self._process.stdout)
        if given is None:
            raise self._ended()
        return given

    def _ended(self) -> FileError:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines() or ["no message"]
        return FileError(f"OpenVINO as on a CPU of kind {self.cpu} ended ({lines[-1]})")


def _end(process: subprocess.Popen[bytes], errors: Any, folder: tempfile.TemporaryDirectory[str]) -> None:
    assert process.stdin is not None  # noqa: S101 - opened as a pipe
    assert process.stdout is not None  # noqa: S101 - likewise
    process.stdin.close()
    process.wait()
    process.stdout.close()
    errors.close()
    folder.cleanup()
