"""One class of checks for each kind of the kit."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import qcore
from qcore.plugin import Arrays, BackendSpec, Model, Silent, Tensor, compiled, plain
from qcore.testing import CalibrationInputs, Conformance, ConverterConformance, NeedsExample, made_up
from qcore_kit.abilities import Analyzer, Observer, Reporter, Tuner
from qcore_kit.checks import SEVERITIES, Finding, Linter, Subject
from qcore_kit.comparison.protocols import Probe
from qcore_kit.layouts import Layout, matching
from qcore_kit.reports import Picture, Pictures, Report, Section, Table, Text
from qcore_kit.results import Results

SEEN = 4
"""Inputs that a graph of the zoo is calibrated with."""
NEAR = 1.0
"""Mean error against float that a quantized graph of the zoo may have, in standard deviations of its output. The worst
block under the bundled profiles has 0.8 in one channel; a wrong scale or axis costs several."""
SAME = 0.05
"""Mean difference of the runtime from the fake-quantized graph, likewise."""
HOSTILE = "<script>alert(1)</script>"


class LayoutConformance(Conformance):
    """Checks of a layout; `tensors` and `values` are its examples."""

    kind: ClassVar[str] = "layout"
    protocol: ClassVar[Any] = Layout

    def tensors(self) -> Sequence[Tensor]:
        """Outputs of a contract in this layout."""
        raise NeedsExample(f"override tensors(): outputs of a contract in layout {self.component}")

    def values(self, seed: int) -> Arrays:
        """Their values for a batch of one; random ones by default."""
        return made_up(self.tensors(), seed)

    def test_it_is_found_by_its_outputs(self) -> None:
        """The contract's outputs lead to this layout and to no other."""
        found = [spec.qualified for spec in matching(self.tensors(), self.host)]
        if found != [self.spec.qualified]:
            self.fail(f"its own outputs lead to {' and '.join(found) or 'no layout'}", "make `matches` precise")

    def test_boxes_and_scores_have_one_row_for_each_other(self) -> None:
        """Boxes are `[B, N, 4]`, scores `[B, N, classes]`."""
        boxes, scores = self.made().read(self.tensors(), self.values(0))
        if np.ndim(boxes) != 3 or np.shape(boxes)[2] != 4 or np.shape(boxes)[:2] != np.shape(scores)[:2]:
            self.fail(f"boxes {list(np.shape(boxes))}, scores {list(np.shape(scores))}", "give [B, N, 4] and [B, N, C]")

    def test_a_batch_is_read_element_by_element(self) -> None:
        """Two inputs together are read as each alone."""
        tensors, layout = self.tensors(), self.made()
        alone = [self.values(seed) for seed in range(2)]
        both = {
            tensor.name: np.concatenate([each[tensor.name] for each in alone], axis=tensor.batch or 0)
            for tensor in tensors
        }
        for place, (joined, first, second) in enumerate(
            zip(*(layout.read(tensors, values) for values in (both, *alone)), strict=True)
        ):
            if not np.allclose(joined, np.concatenate([first, second]), atol=1e-5):
                self.fail(f"the {('boxes', 'scores')[place]} of a batch differ", "index along the batch axis only")

    def test_torch_and_numpy_give_the_same(self) -> None:
        """Tensors of torch are read like arrays: a model in torch is compared by the same layout."""
        try:
            import torch
        except ImportError:
            raise NeedsExample("torch is not installed: pip install torch") from None
        values = self.values(0)
        tensors, layout = self.tensors(), self.made()
        wanted = layout.read(tensors, values)
        got = layout.read(tensors, {name: torch.from_numpy(np.array(each)) for name, each in values.items()})
        for name, one, other in zip(("boxes", "scores"), wanted, got, strict=True):
            if not np.allclose(one, np.asarray(other), atol=1e-4):
                self.fail(f"{name} of torch tensors differ from those of arrays", "use operations that both have")

    def test_reading_leaves_the_outputs_alone(self) -> None:
        """Values are not changed in place."""
        values = self.values(0)
        kept = {name: np.array(each) for name, each in values.items()}
        self.made().read(self.tensors(), values)
        if any(not np.array_equal(each, values[name]) for name, each in kept.items()):
            self.fail("it changes the values that it reads", "copy before writing")


class ProfileConformance(ConverterConformance):
    """Checks of a profile: every graph of a zoo is written, run, and agrees.

    Attributes:
        blocks: Names of the graphs, of `qcore_kit.testing.zoo.BLOCKS`; all by default.
    """

    kind: ClassVar[str] = "profile"
    blocks: ClassVar[Sequence[str]] = ()

    def model(self, folder: Path) -> Model:
        """The scale table of the first graph."""
        from qcore_kit.testing.zoo import table

        return table()

    def test_the_profile_is_named_like_its_component(self) -> None:
        """`profile.name`, the form's profile and the component are one word."""
        names = {self.made().profile.name, self.spec.produces.profile, self.spec.name}
        if len(names) > 1:
            self.fail(f"it is called {' and '.join(sorted(map(str, names)))}", "use one name: --profile takes it")

    def test_the_zoo_is_written_and_near_float(self) -> None:
        """Each graph, taken literally, gives nearly what the float graph gives."""
        from qcore_kit.quantization.literal import literal
        from qcore_kit.testing.zoo import build

        for name in self._names():
            wanted, got = (self._outputs(literal(each)) for each in (build(name), self._written(name).module))
            if (apart := _apart(got, wanted)) > NEAR:
                self.fail(f"graph {name} is {apart:.2f} standard deviations from float", "look at the scales it places")

    def test_the_zoo_runs_and_agrees(self) -> None:
        """On a backend that accepts the profile, each graph gives what it says, taken literally."""
        from qcore_kit.quantization.literal import literal

        form = self.spec.produces
        running = [
            (spec, {accepted.profile for accepted in spec.accepts if accepted.accepts(form)})
            for spec in self.host.specs(BackendSpec)
            if not spec.problems()
        ]
        fitting = [spec for spec, profiles in running if form.profile in profiles]
        fitting = fitting or [spec for spec, profiles in running if profiles]
        if not fitting:
            raise NeedsExample(f"no installed backend runs {form}")
        for name in self._names():
            written = self._written(name)
            wanted = self._outputs(literal(written.module))
            got = self._outputs(compiled(fitting[0], written))
            if (apart := _apart(got, wanted)) > SAME:
                self.fail(
                    f"graph {name} on {fitting[0].name} is {apart:.2f} standard deviations from what it says",
                    "leave the operation in float: Profile.float_variants",
                )

    def _names(self) -> Sequence[str]:
        from qcore_kit.testing.zoo import BLOCKS

        return self.blocks or tuple(BLOCKS)

    def _outputs(self, session: Any) -> Any:
        from qcore_kit.testing.zoo import inputs

        return np.stack([next(iter(session.run(each).values())) for each in inputs()])

    def _written(self, name: str) -> Model:
        from qcore_kit.testing.zoo import table

        return self._converted(table(name))


class ResultConformance(Conformance):
    """Checks of a result; `result` and `raw` are its examples."""

    kind: ClassVar[str] = "result"
    protocol: ClassVar[Any] = Results

    def result(self) -> Any:
        """A result with something in it."""
        raise NeedsExample(f"override result(): a result that {self.component} shows")

    def empty(self) -> Any:
        """A result in which nothing was found; None where there is no such thing."""
        return None

    def raw(self) -> Any:
        """The input that it belongs to, as the preprocessor reads it."""
        return None

    def test_records_are_plain(self) -> None:
        """Records are mappings that JSON can hold."""
        for result in (self.result(), self.empty()):
            if result is None:
                continue
            records = self.made().records(result)
            try:
                json.dumps(records, allow_nan=False)
            except (TypeError, ValueError) as error:
                self.fail(f"a record cannot be written as JSON ({error})", "give numbers, text, lists and mappings")
            if not all(isinstance(record, Mapping) for record in records):
                self.fail("a record is no mapping", "give each value a name")

    def test_a_drawing_is_one_file(self, tmp_path: Path) -> None:
        """`draw` writes the file that it was given, of an empty result too, and leaves the input alone."""
        for name, result in (("some", self.result()), ("none", self.empty())):
            if result is None:
                continue
            folder = tmp_path / name
            folder.mkdir()
            path, raw = folder / f"drawing{self.spec.suffix}", self.raw()
            kept = repr(plain(raw))
            self.made().draw(raw, result, path)
            if [each.name for each in folder.iterdir()] != [path.name] or not path.stat().st_size:
                self.fail("draw does not write just the path it was given", "write one file, at `path`")
            if repr(plain(raw)) != kept:
                self.fail("draw changes the input", "draw on a copy")


class LinterConformance(Conformance):
    """Checks of a linter; `subject` is its example."""

    kind: ClassVar[str] = "linter"
    protocol: ClassVar[Any] = Linter

    def subject(self, folder: Path) -> Subject:
        """A file that its rules can be asked about."""
        raise NeedsExample(f"override subject(folder): a qcore_kit.checks.Subject for linter {self.component}")

    def test_rules_are_documented(self) -> None:
        """Each has an identifier of its own, a severity, a summary, and says why it matters and what to do."""
        seen: set[str] = set()
        for rule in self.made().rules():
            if rule.id in seen:
                self.fail(f"two rules are called {rule.id}", "give each an identifier of its own")
            seen.add(rule.id)
            if rule.severity not in SEVERITIES:
                self.fail(f"rule {rule.id} has the severity {rule.severity!r}", f"use one of {', '.join(SEVERITIES)}")
            text = inspect.getdoc(type(rule)) or ""
            if not rule.summary.strip() or "Why: " not in text or "Fix: " not in text:
                self.fail(
                    f"rule {rule.id} does not say what it finds, why and what to do",
                    "its docstring is its page: a summary, a paragraph `Why: ...`, a paragraph `Fix: ...`",
                )

    def test_findings_can_be_shown(self, tmp_path: Path) -> None:
        """Asked about a file, a rule gives findings, and raises nothing."""
        subject = self.subject(tmp_path)
        for rule in self.made().rules():
            for finding in rule.check(subject):
                if not isinstance(finding, Finding) or finding.severity not in SEVERITIES or not finding.message:
                    self.fail(f"rule {rule.id} gives {finding!r}", "give qcore_kit.checks.Finding with a message")


class ProbeConformance(Conformance):
    """Checks of a probe; `model` is its example."""

    kind: ClassVar[str] = "probe"
    protocol: ClassVar[Any] = Probe

    def model(self, folder: Path) -> Model:
        """A small model that it opens."""
        raise NeedsExample(f"override model(folder): a small model that probe {self.component} opens")

    def test_inner_tensors_can_be_asked_for(self, tmp_path: Path) -> None:
        """Every layer that it lists has a tensor, and gives values."""
        model = self.model(tmp_path)
        inside = self.made().open(model)
        names = [name for name in inside.layers if name in inside.tensors]
        if not names:
            self.fail("no layer that it lists is among its tensors", "name layers by the tensor that they make")
        given = inside.run(made_up(model.contract.inputs, 0), names)
        if missing := [name for name in names if name not in given]:
            self.fail(f"tensor {missing[0]} was asked for and did not come", "give every tensor of `names`")
        for layer in inside.layers:
            inside.quantized(layer)


class AnalyzerConformance(Conformance):
    """Checks of an analyzer; `model` is its example."""

    kind: ClassVar[str] = "analyzer"
    protocol: ClassVar[Any] = Analyzer

    def model(self, folder: Path) -> Model:
        """A small float model that it accepts."""
        raise NeedsExample(f"override model(folder): a small model that analyzer {self.component} accepts")

    def test_rows_name_layers(self, tmp_path: Path) -> None:
        """One row a layer, with its name under `layer`; the same rows each time."""
        model = self.model(tmp_path)
        spec = self.spec
        settings = spec.typed(spec.settings({}))
        data = CalibrationInputs([made_up(model.contract.inputs, seed) for seed in range(SEEN)], model.contract)
        first, second = (
            self.made().analyze(model, calibration=data, options=settings, progress=Silent()) for _ in range(2)
        )
        names = [row.get("layer") for row in first]
        if not names or None in names or len(set(names)) < len(names):
            self.fail(f"rows name {names}", "give one row a layer, with its name under `layer`")
        if plain(first) != plain(second):
            self.fail("two runs give different rows", "seed what is random")


class ReporterConformance(Conformance):
    """Checks of a reporter; it needs no examples."""

    kind: ClassVar[str] = "reporter"
    protocol: ClassVar[Any] = Reporter

    def test_a_report_is_one_file(self, tmp_path: Path) -> None:
        """Every kind of block is drawn, into the path that was given."""
        blocks = (
            Table(("name", "figure"), (("a", 0.5), ("b", None))),
            Text("a paragraph"),
            Pictures((("row", (Picture(b"\xff\xd8\xff\xd9", "a caption"),)),)),
        )
        self._write(tmp_path, Report("title", "pass", "all is well", (Section("Section", blocks),), {"a": 1}))

    def test_names_from_files_are_text(self, tmp_path: Path) -> None:
        """What looks like markup in a name is shown, not run."""
        report = Report(HOSTILE, "fail", HOSTILE, (Section(HOSTILE, (Text(HOSTILE),)),), {"a": HOSTILE})
        written = self._write(tmp_path, report)
        if self.spec.suffix in (".html", ".htm", ".svg") and HOSTILE.encode() in written:
            self.fail("markup in a name is written as it is", "escape everything that comes from a report")

    def _write(self, folder: Path, report: Report) -> bytes:
        path = folder / f"report{self.spec.suffix}"
        self.made().write(report, path)
        if [each.name for each in folder.iterdir()] != [path.name]:
            self.fail("write does not write just the path it was given", "make one file that stands for itself")
        return path.read_bytes()


class TunerConformance(Conformance):
    """Checks of a tuner."""

    kind: ClassVar[str] = "tuner"
    protocol: ClassVar[Any] = Tuner

    def test_it_takes_part_where_it_is_asked_for(self) -> None:
        """It has an option, and nobody's runs are tuned without it."""
        _require_asked(self)


class ObserverConformance(Conformance):
    """Checks of an observer; `options` is its example."""

    kind: ClassVar[str] = "observer"
    protocol: ClassVar[Any] = Observer

    def options(self, folder: Path) -> dict[str, Any]:
        """Settings with which it takes part and writes into `folder`."""
        raise NeedsExample(f"override options(folder): settings with which observer {self.component} takes part")

    def test_it_takes_part_where_it_is_asked_for(self) -> None:
        """It has an option, and is told of nothing without it."""
        _require_asked(self)

    def test_it_gives_the_files_that_it_wrote(self, tmp_path: Path) -> None:
        """`finished` gives paths of files that are there."""
        spec, observer = self.spec, self.made()
        observer.begin(spec.typed(spec.settings(self.options(tmp_path))), qcore.plugins)
        for path in observer.finished(Report("title", "pass", "all is well", (), {"a": 1})):
            if not Path(path).is_file():
                self.fail(f"it says that it wrote {path}, which is not there", "give only what was written")


def _require_asked(check: Conformance) -> None:
    options = check.spec.options
    if not options or all(option.default is not None for option in options):
        check.fail("it takes part where nobody asked for it", "declare an option whose default is None")


def _apart(got: Any, wanted: Any) -> float:
    """Mean difference in standard deviations of what is wanted."""
    return float(np.mean(np.abs(got - wanted)) / max(float(np.std(wanted)), 1e-9))
