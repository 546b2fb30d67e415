"""`qcore quantize`."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore.plugin import (
    LIMIT,
    BackendSpec,
    CheckFailed,
    Host,
    Output,
    QcoreError,
    UsageError,
    only,
    require,
)
from qcore_kit import commandline, parts, recipes
from qcore_kit.commandline import pairs, refuse_unused
from qcore_kit.folders import require_source, writable
from qcore_kit.kinds import TunerSpec
from qcore_kit.machine import THIS
from qcore_kit.reports import command as reporting
from qcore_kit.tuning.target import Target, Tuned
from qcore_plugins.commands import calibrating, proving
from qcore_plugins.commands.quantize_page import Page, Written

if TYPE_CHECKING:
    from qcore.plugin import Model, Recipe, Run


@dataclass(frozen=True)
class Job:
    """What is to be written of a recipe that quantizes.

    Attributes:
        folder: Where the files go.
        backends: Where they will run; none for every installed one that the quantizer serves.
        profile: To write for instead of the backends' own.
        cpu: Kind of CPU that the parity check runs them as, one of `machine.CPUS`.
        explain: Whether to print what was decided for each layer.
        recipe_file: Where the recipe goes; None writes none.
        tuning: Options of tuners, by the names of `shared_options`.
        observers: Those that are told what came of it.
    """

    folder: Path
    backends: Sequence[Any] = ()
    profile: str | None = None
    cpu: str = THIS
    explain: bool = False
    recipe_file: str | None = None
    tuning: Mapping[str, Any] = field(default_factory=dict)
    observers: reporting.Observers = field(default_factory=reporting.Observers)


def quantize(options: argparse.Namespace, output: Output, host: Host) -> int:
    """Calibrate or train once, then write, check and report each target's file."""
    limit = options.calib_limit
    if limit is not None and limit < 1:
        raise UsageError(f"--calib-limit {limit} is not a positive number")
    require_source(options.calib, "--calib")
    tuning = commandline.given(options, TunerSpec)
    if tuning and not options.data:
        flag = next(iter(tuning)).replace("_", "-")
        raise UsageError(f"--{flag} needs --data FILE: labelled data to measure on")
    run = _recipe(options, host).start(progress=output.progress, host=host)
    if options.part:
        place, count = parts.share(options.part)
        file = calibrating.calibrate(run, place, count, Path(options.out))
        output.say(f"{file}: part {place} of {count}; --merge with all parts quantizes")
        output.result({"file": str(file), "part": place, "of": count}) if output.json else None
        return 0
    if options.merge:
        calibrating.require_parts(run, options.merge)
    job = Job(
        Path(options.out),
        options.backend or (),
        options.profile,
        options.cpu,
        options.explain,
        options.write_recipe,
        tuning,
        reporting.begun(options, host),
    )
    document = written(run, job, output)
    if output.json:
        output.result(document)
    return int(document["failed"][0]["code"]) if "failed" in document else 0


def written(run: Run, job: Job, output: Output) -> dict[str, Any]:
    """Quantize; gives what `--json` prints.

    Args:
        run: Of a recipe that quantizes; its backend and profile give way to those of the job.
        job: What is to be written.
        output: Where it is told.
    """
    run, host = run.vary(run.recipe.with_backend(None)), run.host
    targets = _targets(run, job.backends, job.profile)
    _require_cpu(job.cpu, targets, host)
    tuners = commandline.taking_part(host, TunerSpec, job.tuning)
    plans = [target.of(run).plan(target.goal) for target in targets]
    refuse_unused(run.recipe.conversion, plans)
    for plan in plans:
        plan.require()
    for target, plan in zip(targets, plans, strict=True):
        folder = job.folder / target.name if len(targets) > 1 else job.folder
        recipes.require_apart(run.recipe.file, folder, plan.end, host)
    writable(job.folder)
    page = Page(run.recipe.file, job.observers.commands({}))
    proof = proving.Proof.begun(output, run, job.cpu)
    run.model("quantizer")
    calibrating.warn_of_few(run, output)
    calibrating.warn_of_equal(run, output)
    failed: list[dict[str, Any]] = []
    try:
        done = list(_each_written(job, output, run, targets, tuners, proof, failed))
    except CheckFailed as error:
        if job.observers:
            job.observers.tell(page.failed(error, run.model("quantizer").contract), output)
        raise
    kept = _keep_table(job.folder, output, run)
    if job.recipe_file:
        final = targets[0].recipe(run.recipe) if len(targets) == 1 else run.recipe
        kept["recipe"] = str(recipes.write(recipes.portable(final), job.recipe_file))
        output.say(f"{kept['recipe']}: the recipe; qcore run does it again")
    reports = [each.report for each in done]
    both = shlex.join([str(run.recipe.file), reports[0]["file"]])
    if not output.json:
        output.note(f"next: qcore compare {both} --data LABELLED measures what INT8 costs in accuracy")
    document = {**(reports[0] if len(targets) == 1 else {"files": reports}), **kept}
    document |= {"failed": failed} if failed else {}
    if job.observers:
        job.observers.tell(page.made(done, document), output)
    return document


def _each_written(
    job: Job,
    output: Output,
    run: Run,
    targets: Sequence[Target],
    tuners: Sequence[tuple[TunerSpec, Any]],
    proof: proving.Proof,
    failed: list[dict[str, Any]],
) -> Iterator[Written]:
    """The files of all targets; one of several that fails is named, added to `failed`, and does not end the others.

    Raises:
        QcoreError: The only one fails, or all do: the error of the first.
    """
    first: QcoreError | None = None
    for target in targets:
        try:
            yield _written(job, output, run, target, tuners, proof, len(targets) > 1)
        except QcoreError as error:
            first = first or error
            told = {"error": error.message, "hint": error.hint, "code": error.code}
            failed.append({"backend": target.name, **told})
            if len(targets) > 1:
                output.warn(f"{target.name}: no file was written: {error.message}")
    if first and len(failed) == len(targets):
        raise first


def _require_cpu(cpu: str, targets: Sequence[Target], plugins: Host) -> None:
    """Refuse a kind of CPU that no target's backend computes as."""
    from qcore_kit.comparison.saturation import cannot_run_as, options

    if cpu != THIS and not any(options(target.backend, cpu) for target in targets):
        names = ", ".join(target.name for target in targets)
        raise cannot_run_as(cpu, names, plugins)


def _recipe(options: argparse.Namespace, host: Host) -> Recipe:
    """What the arguments say, but for the backends: several files may be made of one calibration."""
    recipe = commandline.begun(options, host)
    if options.data:
        require(options.data)
        recipe = recipe.with_data(options.data, **commandline.labels(options))
    return recipe.with_quantizer(
        _quantizer(options, host),
        calibration=options.calib,
        limit=LIMIT if options.calib_limit is None else options.calib_limit,
        seed=options.calib_seed,
        **_settings(options, recipe.file),
    )


def _quantizer(options: argparse.Namespace, host: Host) -> str:
    from qcore.plugin import QuantizerSpec

    if options.quantizer:
        return str(options.quantizer)
    every = host.specs(QuantizerSpec)
    able = [spec for spec in every if spec.trains]
    hint = f"choose one: {', '.join(spec.name for spec in (able if options.qat else every))}"
    chosen = (
        only([spec for spec in able if not spec.problems()] or able, what="train", hint=hint) if options.qat else None
    )
    if chosen is None:
        raise UsageError("--quantizer is required", hint=hint)
    return chosen.qualified


def _settings(options: argparse.Namespace, file: Path) -> dict[str, Any]:
    settings = pairs(options.quantizer_option, "--quantizer-option")
    if options.exclude:
        settings["exclude"] = tuple(options.exclude)
    if options.no_last_layer:
        settings["last_layer"] = False
    if options.merge:
        settings["calibrated"] = tuple(options.merge)
    if options.device:
        settings["device"] = options.device
    if options.qat:
        settings.setdefault("qat", True)
        settings.setdefault("state", str(Path(options.out) / f"{file.stem}.training"))
    return settings


def _targets(run: Run, asked: Sequence[Any], profile: str | None) -> list[Target]:
    """The backends asked for, or the profile asked for, or every installed backend that the quantizer serves."""
    from qcore.plugin import bundled
    from qcore_kit.kinds import ProfileSpec

    backends = run.host.specs(BackendSpec)
    if asked:
        chosen = [run.host.get(BackendSpec, name) for name in dict.fromkeys(asked)]
        alike = Counter(spec.name for spec in chosen)
        return [
            Target(spec.name if alike[spec.name] == 1 else spec.qualified.replace(":", "-"), spec, profile)
            for spec in chosen
        ]
    if profile:
        goal = run.host.get(ProfileSpec, profile).produces
        able = [spec for spec in backends if any(form.accepts(goal) for form in spec.accepts) and not spec.problems()]
        own = [spec for spec in able if any(form.profile == goal.profile for form in spec.accepts)]
        native = [spec for spec in able if spec.runs == goal.format]
        runner = only(own or native or able, what=f"run {goal}", hint="choose one with --backend NAME")
        if runner is None:
            raise UsageError(f"no installed backend can run {goal}", hint="qcore list-plugins --kind backend")
        return [Target(profile, runner, goal.profile, goal)]
    serving = [spec for spec in backends if not spec.problems() and _serves(run, spec)]
    served = [Target(spec.name, spec) for spec in [spec for spec in serving if bundled(spec)] or serving]
    if not served:
        names = ", ".join(spec.name for spec in backends)
        name = run.quantizer.name if run.quantizer else "none"
        raise UsageError(
            f"no installed backend has a profile that quantizer {name} can write", hint=f"choose a --backend: {names}"
        )
    return served


def _serves(run: Run, backend: BackendSpec) -> bool:
    """Whether the quantizer reaches this backend with a file made for it."""
    from qcore.plugin import NoRoute

    try:
        end = run.vary(run.recipe.with_backend(backend)).plan().end
    except NoRoute:
        return False
    made_for_it = any(form.profile and form.accepts(end) for form in backend.accepts)
    return made_for_it or (end.encoding == "native" and end.format == backend.runs)


def _written(
    job: Job,
    output: Output,
    run: Run,
    target: Target,
    tuners: Sequence[tuple[TunerSpec, Any]],
    proof: proving.Proof,
    several: bool,
) -> Written:
    from qcore.plugin import save_model

    folder = job.folder / target.name if several else job.folder
    report: dict[str, Any] = {}
    tuned = Tuned(target.of(run))
    for spec, options in tuners:
        assert run.judge  # noqa: S101 - tuners are refused without labelled data
        tuned = spec.create().tune(run, target, run.judge, options=options, folder=job.folder, output=output)
        report[spec.name] = dict(tuned.report)
    ended = tuned.run
    recipe = ended.recipe.exclude_layers(*tuned.left_float) if tuned.left_float else ended.recipe
    model: Model = recipes.made_by(recipe, ended.model(target.goal))
    if model.layers and not proving.promised(model):
        output.warn(f"{target.name}: nothing is quantized: all layers are kept in float")
    parities = proof.of(ended, target, model)
    files = save_model(model, folder, run.recipe.file.stem, run.host)
    if job.explain:
        _explain(output, model, report)
    report |= {"file": str(files[-1]), "bytes": sum(file.stat().st_size for file in files)}
    output.say(f"{report['file']} ({report['bytes'] / 1e6:.2f} MB)")
    for line in proving.told(parities, model):
        output.say(f"  {line}")
    if parities:
        report["parity"] = {**parities[0].document(), "quantized": proving.promised(model)}
        report["parity"] |= {"also": [each.document() for each in parities[1:]]} if parities[1:] else {}
    return Written(target.name, report, model.contract, files, tuned.ranked)


def _explain(output: Output, model: Model, report: dict[str, Any]) -> None:
    rows = [dict(row) for row in model.layers]
    report["layers"] = rows
    if rows and not output.json:
        columns = list(rows[0])
        output.table("", [column.upper() for column in columns], [[row[key] for key in columns] for row in rows])


def _keep_table(folder: Path, output: Output, run: Run) -> dict[str, str]:
    """Keep what the quantizer found out, where it is something of its own that other files can be made of.

    What a backend runs is a file of its own kind already: kept, it would lie where the checked one does.
    """
    from qcore.plugin import FormatSpec, bundled, save_model

    model = recipes.made_by(run.recipe, run.model("quantizer"))
    is_format = any(spec.name == model.form.format for spec in run.host.specs(FormatSpec))
    taken = {form.format for spec in run.host.specs(BackendSpec) if bundled(spec) for form in spec.accepts}
    if not is_format or model.form.format in taken:
        return {}
    kept: Sequence[Path] = save_model(model, folder, run.recipe.file.stem, run.host)
    output.say(f"{kept[-1]}: scale table; qcore export --profile PROFILE writes files for other runtimes from it")
    return {"table": str(kept[-1])}


class Quantize:
    """Calibrates and writes the quantized model."""

    example = "qcore quantize yolov5n.pt --calib images/ --quantizer nncf --backend openvino -o out/"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """What it takes."""
        commandline.add_model(parser)
        parser.add_argument(
            "--calib", required=True, metavar="DATA", help="calibration inputs: a directory, or a file that lists them"
        )
        parser.add_argument("--quantizer", metavar="Q", help="quantizer to use (required without --qat)")
        parser.add_argument(
            "--backend",
            action="append",
            metavar="B",
            help="backend to write a file for (repeatable; default: every installed backend that the quantizer has "
            "a profile for)",
        )
        commandline.add_profile(
            parser, "quantization profile: where and how a runtime wants its numbers quantized (default: the backend's)"
        )
        commandline.add_cpu(parser, "kind of CPU to check the written file for")
        commandline.add_calibration(parser)
        parser.add_argument(
            "-q",
            "--quantizer-option",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="set a quantizer option (repeatable)",
        )
        parser.add_argument(
            "--exclude",
            action="append",
            default=[],
            metavar="PATTERN",
            help="layers to keep in float, as a pattern such as 'model.24.*' (repeatable)",
        )
        parser.add_argument(
            "--no-last-layer",
            action="store_true",
            help="keep the last convolutions before box decoding in float (profiles of the bundled plugins always do)",
        )
        parser.add_argument(
            "--explain", action="store_true", help="show for each layer whether it was quantized, and by which rule"
        )
        parser.add_argument(
            "--qat",
            action="store_true",
            help="quantization-aware training: fine-tune by distillation from the float model; needs no labels",
        )
        parser.add_argument("--device", metavar="D", help="device for calibration and training, e.g. cuda or cpu")
        commandline.add_options(parser, host, TunerSpec)
        parser.add_argument(
            "--data",
            metavar="FILE",
            help="labelled data for --max-drop and for choosing the best --qat state, e.g. COCO JSON",
        )
        commandline.add_labels(parser, host)
        commandline.add_out(parser)
        shared = parser.add_mutually_exclusive_group()
        shared.add_argument(
            "--part",
            metavar="K/N",
            help="calibrate with the K-th of N parts of the inputs only, and write the ranges to a file in --out",
        )
        shared.add_argument(
            "--merge",
            nargs="+",
            metavar="FILE",
            help="take the ranges from the files that --part wrote for all parts, without calibrating",
        )
        parser.add_argument("--write-recipe", metavar="FILE", help="write these settings as a recipe file (.toml)")
        reporting.add_observers(parser, host)
        commandline.add_conversion(parser, host)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Quantize."""
        return quantize(options, output, host)
