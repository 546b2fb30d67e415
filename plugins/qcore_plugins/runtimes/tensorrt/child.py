"""The process that parses and builds: `python -m qcore_plugins.runtimes.tensorrt.child REQUEST`.

A builder can end the program that calls it (tensorrt-rtx 1.7 has a segmentation fault on scales that are computed at
run time), so it gets a program of its own. REQUEST is a JSON file, see `Request`; the answer is written beside it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qcore.plugin import MissingDependency
from qcore_plugins.runtimes.tensorrt.packages import load

ANSWER, ENGINE, LOG = "answer.json", "engine", "log.txt"
MAGIC = 4
"""Bytes at the beginning of a timing cache that are those of every other."""


@dataclass(frozen=True)
class Request:
    """What to do.

    Attributes:
        package: `tensorrt` or `tensorrt_rtx`.
        onnx: File to parse.
        build: False to parse only.
        shapes: Input -> smallest, usual and largest shape, for inputs with a dynamic dimension.
        compute_capability: GPUs to build for, e.g. `8.9`; none for this machine's.
        workspace: In MiB; 0 for no limit.
        timing_cache: File to read and write; None for none.
        verbose: Keep the whole log.
    """

    package: str
    onnx: str
    build: bool = True
    shapes: dict[str, list[list[int]]] | None = None
    compute_capability: list[str] | None = None
    workspace: int = 0
    timing_cache: str | None = None
    verbose: bool = False

    def to_json(self) -> str:
        """The request as text."""
        return json.dumps(asdict(self))


class Refused(Exception):
    """TensorRT says no.

    Attributes:
        about: `file`, `request` (what was asked for cannot be had), `device` (there is no GPU), or `package` (its
            libraries are not there).
    """

    def __init__(self, message: str, about: str = "request") -> None:
        super().__init__(message)
        self.about = about


def main(path: Path) -> int:
    """Carry out a request; 0 where it was done, 1 where it was refused."""
    warnings.simplefilter("ignore", DeprecationWarning)  # timing caches do nothing in TensorRT for RTX
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    request = Request(**json.loads(path.read_text(encoding="utf-8")))
    answer: dict[str, Any] = {"version": "", "errors": [], "about": "file", "said": []}
    with (path.parent / LOG).open("w", encoding="utf-8") as log:
        try:
            trt = load(request.package)
            answer["version"] = trt.__version__
            logger = _logger(trt, request.verbose, log)
            answer["said"] = logger.errors
            _work(trt, request, logger, path.parent, answer)
        except Refused as error:
            answer["errors"].append({"message": str(error)})
            answer["about"] = error.about
        except MissingDependency as error:
            answer["errors"].append({"message": error.message, "hint": error.hint})
            answer["about"] = "package"
    (path.parent / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
    return 1 if answer["errors"] else 0


def _end_with(parent: int) -> None:
    """Stop when the process that asked is gone, however it ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(trt: Any, request: Request, logger: Any, folder: Path, answer: dict[str, Any]) -> None:
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # what its binding makes of a null pointer
        raise Refused("no builder without a GPU", "device") from error
    network = builder.create_network(_creation_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(request.onnx).read_bytes(), request.onnx):
        answer["errors"] = [_parser_error(parser.get_error(place)) for place in range(parser.num_errors)]
        return
    if not request.build:
        return
    config = builder.create_builder_config()
    if request.workspace:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace << 20)
    if request.shapes:
        profile = builder.create_optimization_profile()
        for name, shapes in request.shapes.items():
            profile.set_shape(name, *shapes)
        config.add_optimization_profile(profile)
    _capability(trt, config, request.compute_capability or [])
    cache = _timing_cache(config, request.timing_cache)
    begun = time.perf_counter()
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise Refused("the builder gave no engine", "file")
    answer["seconds"] = time.perf_counter() - begun
    (folder / ENGINE).write_bytes(plan)
    if cache is not None:
        (folder / "timing_cache").write_bytes(cache.serialize())


def _creation_flags(trt: Any) -> int:
    """Strong typing where it is a choice: the file's types are the engine's. From TensorRT 11 on there is no other."""
    flags = trt.NetworkDefinitionCreationFlag
    return 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0


def _capability(trt: Any, config: Any, wanted: list[str]) -> None:
    if not wanted:
        return
    if not hasattr(config, "set_compute_capability"):
        raise Refused(f"{trt.__name__} {trt.__version__} builds for this machine's GPU only")
    config.num_compute_capabilities = len(wanted)
    for place, version in enumerate(wanted):
        name = f"SM{version.replace('.', '')}"
        if not hasattr(trt.ComputeCapability, name):
            known = sorted(word for word in dir(trt.ComputeCapability) if word.startswith("SM"))
            raise Refused(f"compute capability {version} is none of {', '.join(known)}")
        if not config.set_compute_capability(getattr(trt.ComputeCapability, name), place):
            raise Refused(f"compute capability {version} cannot be built for")


def _timing_cache(config: Any, path: str | None) -> Any:
    if path is None:
        return None
    known = Path(path).read_bytes() if Path(path).exists() else b""
    empty = bytes(config.create_timing_cache(b"").serialize())
    if known and known[:MAGIC] != empty[:MAGIC]:
        raise Refused(f"{path}: not a TensorRT timing cache; refusing to overwrite it")
    cache = config.create_timing_cache(known)
    if not config.set_timing_cache(cache, ignore_mismatch=False):
        raise Refused(f"{path} is the timing cache of another TensorRT or another GPU")
    return cache


def _parser_error(error: Any) -> dict[str, str]:
    return {"node": str(error.node_name()), "operator": str(error.node_operator()), "message": str(error.desc())}


def _logger(trt: Any, verbose: bool, log: Any) -> Any:
    """A logger that writes to a file, and keeps errors."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(message)
            if verbose or severity <= trt.ILogger.Severity.WARNING:
                log.write(f"{severity.name.lower()}: {message}\n")
                log.flush()

    return Log()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
