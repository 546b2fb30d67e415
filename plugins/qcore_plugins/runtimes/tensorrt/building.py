"""Parsing and building in a child process; everything that goes wrong there is an error message here."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from qcore.plugin import FileError, MissingDependency, MissingDevice, QcoreError, UsageError, replacing
from qcore_plugins.runtimes.tensorrt.child import ANSWER, ENGINE, LOG, Request

LONGEST = 300
"""Characters of what TensorRT says that are shown; `--verbose` shows all of it."""


@dataclass(frozen=True)
class Built:
    """What the child made.

    Attributes:
        plan: The serialized engine; empty where it only parsed.
        version: Of the TensorRT package.
        seconds: The builder's time.
        errors: What the parser or the builder refused: `message`, and `node` and `operator` where it named them.
        log: Its log, one message a line, with how often each came.
        about: What the errors are about: `file`, `request`, `device` or `package`.
    """

    plan: bytes
    version: str
    seconds: float
    errors: tuple[dict[str, str], ...]
    log: tuple[str, ...]
    about: str = "file"


def run(request: Request, proto: bytes, *, say: Callable[[str], None] | None = None) -> Built:
    """Parse, and build where that is asked for, in a child process.

    Args:
        request: What to do; its `onnx` is set here.
        proto: The serialized ONNX model.
        say: Is given each line of the log.

    Raises:
        FileError: The child crashed, or its timing cache cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="qcore-tensorrt-") as name:
        folder = Path(name)
        model, asked = folder / "model.onnx", folder / "request.json"
        model.write_bytes(proto)
        asked.write_text(replace(request, onnx=str(model)).to_json(), encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - our own module with our own file
            [sys.executable, "-P", "-m", "qcore_plugins.runtimes.tensorrt.child", str(asked)],
            capture_output=True,
            text=True,
            check=False,
        )
        log = _log(folder / LOG)
        for line in log:
            if say:
                say(line)
        if not (folder / ANSWER).exists():
            raise _crashed(done.returncode, done.stderr, log)
        answer = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
        engine = folder / ENGINE
        kept = folder / "timing_cache"
        if request.timing_cache and kept.exists():
            with replacing(Path(request.timing_cache)) as path:
                path.write_bytes(kept.read_bytes())
        errors = [*answer["errors"]]
        if len(errors) == 1 and not errors[0].get("node") and answer["about"] == "file":
            lines = [line for line in dict.fromkeys(answer["said"]) if "cudaError" not in line]
            errors[0]["message"] = "; ".join((errors[0]["message"], *lines))
        return Built(
            engine.read_bytes() if engine.exists() else b"",
            answer["version"],
            answer.get("seconds", 0.0),
            tuple(errors),
            log,
            answer["about"],
        )


def refusal(name: str, built: Built) -> Exception:
    """The error for a file that was refused."""
    first = built.errors[0]
    reason = words(first)
    if built.about == "request":
        return UsageError(f"TensorRT {built.version}: {reason}")
    if built.about == "device":
        return MissingDevice(
            f"{name}: this TensorRT needs a GPU to build engines, and none was found",
            hint="build on the machine that will run it, or with --package tensorrt_rtx for an RTX GPU",
        )
    if built.about == "package":
        return MissingDependency(reason, hint=first.get("hint"))
    where = f" at node {first['node']} ({first['operator']})" if first.get("node") else ""
    more = f", and {len(built.errors) - 1} more" if len(built.errors) > 1 else ""
    file = name if name.endswith(".onnx") else "FILE.onnx"
    return FileError(
        f"{name}: TensorRT refuses it{where}: {reason}{more}", hint=f"qcore check {file} --target tensorrt says why"
    )


def _log(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    counted = Counter(path.read_text(encoding="utf-8", errors="replace").splitlines())
    return tuple(line if times == 1 else f"{line} ({times} times)" for line, times in counted.items() if line)


def _crashed(code: int, stderr: str, log: tuple[str, ...]) -> Exception:
    if code in (-signal.SIGSEGV, -signal.SIGABRT):
        how = f"TensorRT's builder crashed ({signal.Signals(-code).name})"
        return FileError(how, hint="known cause: a scale computed at run time; run qcore check FILE --target tensorrt")
    if code < 0:
        how = f"TensorRT's builder was ended ({signal.Signals(-code).name})"
        return QcoreError(how, hint="is there enough memory?")
    lines = [*stderr.strip().splitlines(), *log]
    return FileError(f"TensorRT's builder failed: {lines[-1] if lines else f'exit code {code}'}")


def words(error: dict[str, str]) -> str:
    """One line of an error of `Built`: what was said first, cut where it goes on and on."""
    text = " ".join(error["message"].split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
