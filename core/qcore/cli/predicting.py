"""`qcore predict`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.cli.console import Output
from qcore.errors import FileError, UsageError
from qcore.files import output_directory, replacing

if TYPE_CHECKING:
    from qcore.pipelines import Pipeline


def run(options: argparse.Namespace, output: Output, pipeline: Pipeline) -> int:
    """Run every input; unreadable ones are named and skipped, and make the exit code 6 if nothing was readable."""
    folder = output_directory(options.save) if options.save else None
    predictor = pipeline.build()
    items = [item for source in options.inputs for item in predictor.preprocessor.expand(source)]
    if folder:
        _protect(folder, items)
    failed: list[str] = []
    taken: set[str] = set()
    documents: list[dict[str, Any]] = []

    def skip(item: Any, error: FileError) -> None:
        failed.append(str(item))
        output.note(f"skipped: {error.message}")

    results = zip(items, predictor.examine(items, on_error=skip), strict=True)
    for item, (raw, result) in output.progress.track(results, "predicting", len(items)):
        if result is None:
            continue
        records = predictor.postprocessor.records(result)
        if output.json:
            documents.append({"input": str(item), "results": records})
        else:
            output.say(f"{item}: {summary(records)}")
            for record in [] if output.quiet else records:
                output.say(f"  {line(record)}")
        if folder:
            with replacing(folder / _free(Path(str(item)), taken)) as drawing:
                predictor.postprocessor.draw(raw, result, drawing)
    if len(failed) == len(items):
        raise FileError(f"none of the {len(items)} inputs could be read", hint="see the lines above")
    if output.json:
        output.result(documents)
    return 0


def _protect(folder: Path, items: list[Any]) -> None:
    """Refuse a folder in which a drawing would take the place of an input.

    Raises:
        UsageError: It would.
    """
    taken: set[str] = set()
    targets = {(folder / _free(Path(str(item)), taken)).resolve() for item in items}
    for item in items:
        if Path(str(item)).resolve() in targets:
            raise UsageError(
                f"{item} would be overwritten by its drawing", hint="choose another folder with --save DIR"
            )


def summary(records: list[dict[str, Any]]) -> str:
    """How many of what."""
    counts: dict[str, int] = {}
    for record in records:
        counts[str(record.get("name"))] = counts.get(str(record.get("name")), 0) + 1
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing found"


def line(record: dict[str, Any]) -> str:
    """One record as text."""
    return "  ".join(
        f"{key}={value:.4f}" if isinstance(value, float)
        else f"{key}=[{', '.join(f'{part:.1f}' for part in value)}]" if isinstance(value, list)
        else f"{key}={value}"
        for key, value in record.items()
    )  # fmt: skip


def _free(path: Path, taken: set[str]) -> str:
    """A file name not used yet in this run: two folders may hold pictures of one name."""
    name, number = f"{path.stem}.jpg", 1
    while name in taken:
        number += 1
        name = f"{path.stem}-{number}.jpg"
    taken.add(name)
    return name
