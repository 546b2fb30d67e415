"""What the commands do, for scripts: one call each, with the same checks, that returns what the command prints.

```python
import qcore
from qcore_plugins.verbs import compare, quantize

recipe = qcore.recipe("yolov5n.pt").with_quantizer("nncf", calibration="images/").with_backend("openvino")
made = quantize(recipe, "out/")
found = compare("yolov5n.pt", made["file"], "instances.json")
print(found.failed.name if found.failed else "matches the checkpoint")
```

`qcore.predictor` and `qcore.evaluate` are the calls of `qcore predict` and `qcore eval`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qcore
from qcore.plugin import Evaluation, Form, Host, Judge, Output, Recipe, Run, UsageError, recipe, recognise
from qcore_kit.machine import THIS

if TYPE_CHECKING:
    from qcore_plugins.tools.benchmark.measuring import Report as Measured
    from qcore_plugins.tools.check.checking import Report as Checked
    from qcore_plugins.tools.compare.ladder import Compared

File = str | os.PathLike[str]


def export(model: File | Recipe, folder: File, *, to: str | Form, host: Host | None = None) -> Path:
    """Write a model in another format, verified; gives the main file.

    Args:
        model: A file, or a recipe where more is to be said.
        folder: Made where there is none.
        to: Format or form.
        host: Where components come from; the process's own by default.

    Raises:
        CheckFailed: A converter's result differs from what it was given.
        NoRoute: No converters lead there.
    """
    from qcore_kit import recipes

    return recipes.save(_recipe(model).start(host=host), folder, to=to)[-1]


def quantize(
    model: Recipe | Run,
    folder: File,
    *,
    backends: Sequence[str] = (),
    profile: str | None = None,
    max_drop: float | None = None,
    report: File | None = None,
    cpu: str = THIS,
    host: Host | None = None,
) -> dict[str, Any]:
    """Quantize, hold every file against the quantized and the float network, write.

    Args:
        model: A recipe with a quantizer, whose labelled data (`with_data`) decides where there is some; or a run of
            one, to share what other runs have loaded.
        folder: Made where there is none.
        backends: Where the files will run; by default the recipe's, or every installed one that the quantizer serves.
        profile: To write for instead of the backends' own.
        max_drop: Leave layers float until the main figure on the labelled data drops by no more than that.
        report: Folder for a page about it, as of `--report`.
        cpu: Kind of CPU that the check runs the files as, one of `qcore_kit.machine.CPUS`.
        host: Where components of a recipe come from; the process's own by default.

    Returns:
        What `qcore quantize --json` prints: `file`, `bytes` and `parity`, in `files` where there are several; `table`;
        and `failed`, the backends of several whose file was not written, with their errors.

    Raises:
        CheckFailed: A file gives something else than the network; nothing of it is written.
        UsageError: The recipe quantizes nothing, or there is no data to decide `max_drop` on.
    """
    from qcore_kit.reports.command import observing
    from qcore_plugins.commands.quantize import Job, written

    run = model if isinstance(model, Run) else model.start(host=host)
    recipe = run.recipe
    if recipe.quantizing is None:
        raise UsageError("this recipe quantizes nothing", hint="with_quantizer(...) says with what")
    tuning = {"max_drop": max_drop} if max_drop is not None else {}
    if tuning and recipe.deciding is None:
        raise UsageError("max_drop needs labelled data", hint="with_data(...) says which")
    job = Job(
        Path(folder),
        backends or ([recipe.backend] if recipe.backend else []),
        profile or recipe.profile,
        cpu,
        tuning=tuning,
        observers=observing(run.host, {} if report is None else {"report": report}),
    )
    return written(run, job, Output(json=True, quiet=True))


def evaluate_part(
    model: File | Recipe, data: File, place: int, count: int, file: File, *, host: Host | None = None, **labels: Any
) -> int:
    """Measure on one part of labelled data and write its results, for `merge_parts`; gives the number of its inputs.

    Args:
        model: A file, or a recipe where more is to be said, such as a protocol.
        data: Labelled data.
        place: Which part, from 1.
        count: How many there are.
        file: Where its results go.
        host: Where components come from; the process's own by default.
        **labels: `images` and `classes`, as of `qcore.evaluate`.

    Raises:
        UsageError: No such part, or an evaluator that cannot merge.
    """
    from qcore_plugins.commands import partial

    run = _recipe(model).start(host=host)
    return partial.evaluated(run, Judge(run.host, data, labels), place, count, file)


def merge_parts(
    model: File | Recipe, data: File, files: Sequence[File], *, host: Host | None = None, **labels: Any
) -> Evaluation:
    """What all parts of an evaluation come to together; nothing is run. Arguments as of `evaluate_part`.

    Raises:
        FileError: A file is no part, or one of something else; a part is missing, or twice.
    """
    from qcore_plugins.commands import partial

    run = _recipe(model).start(host=host)
    return partial.merged(run, Judge(run.host, data, labels), [os.fspath(file) for file in files], sections=False)


def calibrate_part(model: Recipe | Run, place: int, count: int, folder: File, *, host: Host | None = None) -> Path:
    """Calibrate with one part of the inputs and write what it saw; gives the file.

    `with_quantizer(..., calibrated=FILES)` then takes the ranges from the files of all parts.

    Args:
        model: A recipe with a quantizer, or a run of one.
        place: Which part, from 1.
        count: How many there are.
        folder: Where the file goes.
        host: Where components come from; the process's own by default.

    Raises:
        UsageError: The quantizer looks at all inputs at once.
    """
    from qcore_plugins.commands import calibrating

    run = model if isinstance(model, Run) else model.start(host=host)
    return calibrating.calibrate(run, place, count, Path(folder))


def compare(
    reference: File | Recipe,
    candidate: File | Recipe,
    data: Any,
    *,
    parts: Sequence[File] = (),
    host: Host | None = None,
    **options: Any,
) -> Compared:
    """Climb the ladder of `qcore compare`.

    A checkpoint runs at the input size of the exported file that it is compared with.

    Args:
        reference: The model that is right: a file, or a recipe where more is to be said, e.g. its loader.
        candidate: The one in question, likewise.
        data: Inputs, or labelled data.
        parts: Files of `compare_part`, of all parts; only the first inputs are run then.
        host: Where components come from; the process's own by default.
        **options: As of `qcore_plugins.tools.compare.ladder.compare`: `protocol`, `limit`, `accept`, `max_drop`, ...

    Returns:
        The steps; `failed` is the first that fails, `cause` the likeliest cause.
    """
    from qcore_plugins.tools.compare import dividing, ladder

    climbing = {name: options.pop(name) for name in ("foreign", "progress") if name in options}
    begun = ladder.begin(*_both(reference, candidate, host), data, **options)
    known = dividing.read(begun, data, [os.fspath(file) for file in parts]) if parts else {}
    return ladder.climb(begun, accept=options.get("accept", ()), known=known, **climbing)


def compare_part(
    reference: File | Recipe,
    candidate: File | Recipe,
    data: Any,
    place: int,
    count: int,
    file: File,
    *,
    host: Host | None = None,
    **options: Any,
) -> int:
    """Run one part of the inputs through both models and write the results, for `compare`; gives their number.

    Args:
        reference: As of `compare`, as `candidate`, `data`, `host` and the options are.
        candidate: Likewise.
        data: Likewise.
        place: Which part, from 1.
        count: How many there are.
        file: To write.
        host: Likewise.
        **options: Likewise.
    """
    from qcore_plugins.tools.compare import dividing, ladder

    return dividing.write(ladder.begin(*_both(reference, candidate, host), data, **options), data, place, count, file)


def check(file: File, target: str | None = None, *, host: Host | None = None, **options: Any) -> Checked:
    """Ask every rule about a file; the options are those of `qcore_plugins.tools.check.checking.check`."""
    from qcore_plugins.tools.check import checking

    return checking.check(file, target, plugins=host or qcore.plugins, **options)


def benchmark(files: Sequence[File], **options: Any) -> Measured:
    """Measure files in turns; the options are those of `qcore_plugins.tools.benchmark.measuring.benchmark`."""
    from qcore_plugins.tools.benchmark import measuring

    return measuring.benchmark([os.fspath(file) for file in files], **options)


def snippet(file: File, *, host: Host | None = None) -> str:
    """The text of a script that runs an exported file without qcore."""
    from qcore_plugins.tools.snippet import snippet as text

    return text.snippet(os.fspath(file), host or qcore.plugins)


def _recipe(model: File | Recipe) -> Recipe:
    return model if isinstance(model, Recipe) else recipe(model)


def _both(
    reference: File | Recipe, candidate: File | Recipe, host: Host | None
) -> tuple[tuple[str, Run], tuple[str, Run]]:
    """Name and run of both."""
    where = host or qcore.plugins
    one, other = _beside(reference, candidate, where), _beside(candidate, reference, where)
    return (str(one.recipe.file), one), (str(other.recipe.file), other)


def _beside(model: File | Recipe, other: File | Recipe, host: Host) -> Run:
    """The run of one model; a checkpoint that nothing else is said of gets the input size of an export beside it."""
    from qcore_plugins.tools.compare.sides import input_size

    begun = _recipe(model)
    given: Mapping[str, Any] = begun.loader_options
    if not isinstance(model, Recipe) and not recognise(begun.file, host)[0].suffix:
        beside = _recipe(other)
        size = input_size(beside.start(host=host)) if recognise(beside.file, host)[0].suffix else None
        begun = recipe(begun.file, **({**given, "imgsz": tuple(size)} if size else given))
    return begun.start(host=host)
