"""Which flags describe which of the two files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qcore.plugin import FormatSpec, Host, LoaderSpec, Output, open_file, recognise
from qcore_kit import commandline

if TYPE_CHECKING:
    from qcore.plugin import Recipe, Run

CANDIDATE = "candidate_"
FLAGS = ("loader", "imgsz", "batch", "head", "loader_option", "preprocess")
"""What `commandline.add_model` adds beside the model."""
OWN = ("batch", "head")
"""Those of them that not every loader has."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags that describe CANDIDATE where those of REF do not fit it."""
    group = parser.add_argument_group(
        "candidate",
        "--loader, --imgsz, --batch, --head, --loader-option and --preprocess describe both files where they apply: "
        "--loader reads files of its format without a contract; an exported file with a contract takes none of them. "
        "The following describe CANDIDATE alone.",
    )
    group.add_argument("--candidate-loader", metavar="LOADER", help="loader of CANDIDATE; --loader is then that of REF")
    group.add_argument("--candidate-imgsz", type=int, nargs="+", metavar="PX", help="input size of CANDIDATE")
    group.add_argument("--candidate-batch", metavar="N", help="batch size of CANDIDATE")
    group.add_argument("--candidate-head", metavar="HEAD", help="where the graph of CANDIDATE ends")
    for name, text in (("loader-option", "loader option"), ("preprocess", "preprocessing parameter")):
        group.add_argument(
            f"--candidate-{name}",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"{text} of CANDIDATE (repeatable)",
        )


def begun(options: argparse.Namespace, output: Output, host: Host) -> list[Run]:
    """The runs of REF and of CANDIDATE, if there is one; a checkpoint takes the input size of an export beside it."""
    files = [options.model] if options.candidate is None else [options.model, options.candidate]
    loaders = _loaders(options, files, host)
    checkpoints = [not recognise(file, host)[0].suffix for file in files]
    runs: dict[int, Run] = {}
    for place in sorted(range(len(files)), key=lambda place: checkpoints[place]):
        own = argparse.Namespace(**_described(options, place, files[place], loaders[place], host))
        if checkpoints[place] and not own.imgsz and 1 - place in runs and not checkpoints[1 - place]:
            own.imgsz = input_size(runs[1 - place])
            if own.imgsz:
                size = "x".join(map(str, own.imgsz))
                output.note(f"{files[place]}: run at {size}, as {files[1 - place]}")
        recipe = _placed(commandline.begun(own, host), options.backend, place)
        runs[place] = recipe.start(progress=output.progress, host=host)
    return [runs[place] for place in range(len(files))]


def input_size(run: Run) -> list[int] | None:
    """Height and width that a model takes, where those are fixed."""
    inputs = run.contract().inputs
    sizes = [size for size in inputs[0].sizes("HW") if isinstance(size, int)] if inputs else []
    return sizes if len(sizes) == 2 else None


def _loaders(options: argparse.Namespace, files: Sequence[str], host: Host) -> list[str | None]:
    """The loader of each file: CANDIDATE's own; the shared one where it fits, first of all files without a contract."""
    own = options.candidate_loader
    if options.loader is None or own is not None:
        return [options.loader, own][: len(files)]
    reads = host.get(LoaderSpec, options.loader).format
    fitting = [place for place, file in enumerate(files) if recognise(file, host)[0].name == reads]
    bare = [place for place in fitting if _bare(files[place], host)]
    chosen = bare or fitting or [0]
    return [options.loader if place in chosen else None for place in range(len(files))]


def _bare(file: str, host: Host) -> bool:
    return open_file(file, host).contract is None


def _described(options: argparse.Namespace, place: int, file: str, loader: str | None, host: Host) -> dict[str, Any]:
    """The arguments of one file, as `commandline.begun` takes them."""
    spec, _ = recognise(file, host)
    given = {**vars(options), "model": file, **dict(_shared(options, spec, loader, host))}
    if place:
        own = {name: getattr(options, CANDIDATE + name) for name in FLAGS}
        given |= {name: value for name, value in own.items() if value}
    return {**given, "loader": loader}


def _shared(options: argparse.Namespace, spec: FormatSpec, loader: str | None, host: Host) -> Iterator[tuple[str, Any]]:
    """Those of the shared flags that do not apply to a file, emptied."""
    known = {option.name for option in host.get(LoaderSpec, loader).options} if loader else set(OWN)
    for name in FLAGS:
        nothing: Any = [] if isinstance(getattr(options, name), list) and name != "imgsz" else None
        if (spec.suffix and loader is None) or (spec.suffix and name in OWN and name not in known):
            yield name, nothing


def _placed(recipe: Recipe, backends: Sequence[str], place: int) -> Recipe:
    return recipe.with_backend(backends[min(place, len(backends) - 1)]) if backends else recipe
