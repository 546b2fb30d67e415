"""Kinds of components that the kit adds to the core's, through the entry-point group `qcore.kinds`.

It is imported whenever plugins are listed, so it imports nothing but `qcore.plugin`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from qcore.plugin import ConverterSpec, Form, Spec

if TYPE_CHECKING:
    from qcore_kit.abilities import Analyzer, Observer, Reporter, Tuner  # noqa: F401 - bases of the classes below


@dataclass(frozen=True, kw_only=True)
class AnalyzerSpec(Spec["Analyzer"]):
    """Ranks the layers of a float model by what quantizing them costs.

    ```python
    from qcore.plugin import Form, hookimpl
    from qcore_kit.kinds import AnalyzerSpec


    class Longest:
        def analyze(self, model, *, calibration, options, progress):
            rows = [{"layer": word, "length": len(word)} for word in model.module.split()]
            return sorted(rows, key=lambda row: -row["length"])


    @hookimpl
    def qcore_analyzers():
        yield AnalyzerSpec(name="longest", summary="Long words first", factory=Longest, accepts=(Form("text"),))
    ```
    """

    kind: ClassVar[str] = "analyzer"
    accepts: tuple[Form, ...]


@dataclass(frozen=True, kw_only=True)
class LinterSpec(Spec[Any]):
    """Finds what a runtime will refuse, get wrong or run slowly in a file.

    Attributes:
        targets: Runtimes it judges for; empty for every one.
        format: Name of the format whose content it reads; empty for any.

    ```python
    from qcore.plugin import hookimpl
    from qcore_kit.checks import Finding
    from qcore_kit.kinds import LinterSpec


    class Large:
        '''A file of more than 100 MB.

        Why: the device has no more memory.

        Fix: quantize it.
        '''

        id, severity, targets, summary = "MINE001", "error", ("tiny",), "A file of more than 100 MB"

        def check(self, subject):
            size = subject.path.stat().st_size
            if size > 100e6:
                yield Finding(self.id, self.severity, "", f"{size} bytes", "too large", "qcore quantize ...")


    class Mine:
        def rules(self):
            return [Large()]


    @hookimpl
    def qcore_linters():
        yield LinterSpec(name="mine", summary="What Tiny takes", factory=Mine, targets=("tiny",), format="onnx")
    ```
    """

    kind: ClassVar[str] = "linter"
    targets: tuple[str, ...] = ()
    format: str = ""


@dataclass(frozen=True, kw_only=True)
class ProbeSpec(Spec[Any]):
    """Gives what a model computes between its inputs and outputs, for `qcore compare`.

    ```python
    from qcore.plugin import Form, hookimpl
    from qcore_kit.kinds import ProbeSpec


    class Words:
        faults = ()

        def __init__(self, words):
            self.layers = {word: (len(word),) for word in words}
            self.names, self.tensors = dict.fromkeys(words, ""), frozenset(words)

        def run(self, inputs, names):
            return {name: inputs["x"] * len(name) for name in names}

        def quantized(self, layer):
            return ()


    class Tiny:
        def open(self, model):
            return Words(model.module.split())


    @hookimpl
    def qcore_probes():
        yield ProbeSpec(name="words", summary="What each word does", factory=Tiny, accepts=(Form("text"),))
    ```
    """

    kind: ClassVar[str] = "probe"
    accepts: tuple[Form, ...]


@dataclass(frozen=True, kw_only=True)
class ReporterSpec(Spec["Reporter"]):
    """Writes what a command found as a file for people.

    Attributes:
        suffix: Of that file, e.g. `.html`; it is called `report` with this suffix.

    ```python
    from qcore.plugin import hookimpl
    from qcore_kit.kinds import ReporterSpec


    class Plain:
        def write(self, report, path):
            path.write_text(f"{report.title}: {report.verdict}. {report.summary}", encoding="utf-8")


    @hookimpl
    def qcore_reporters():
        yield ReporterSpec(name="plain", summary="The verdict as text", factory=Plain, suffix=".txt")
    ```
    """

    kind: ClassVar[str] = "reporter"
    suffix: str


@dataclass(frozen=True, kw_only=True)
class ProfileSpec(ConverterSpec):
    """How a runtime wants a quantized graph: a converter that writes scale tables so.

    Its name is what `--profile` takes, and the profile of the form that it gives. What it makes has an attribute
    `profile`, a `qcore_kit.quantization.profiles.Profile`; `qcore_kit.quantization.qdq.QdqConverter` is made from one.

    ```python
    from qcore.plugin import Form, hookimpl
    from qcore_kit.kinds import ProfileSpec


    def converter():
        from qcore_kit.quantization.profiles import Profile
        from qcore_kit.quantization.qdq import QdqConverter

        whole = {"whole_silu": True, "share_concat": True, "share_add": True}
        return QdqConverter(
            Profile("tiny", "u8", symmetric=True, every_output=False, last_layer=False, integer_bias=False, **whole)
        )


    class Tiny:
        def __new__(cls):
            return converter()


    @hookimpl
    def qcore_profiles():
        yield ProfileSpec(
            name="tiny", summary="Q/DQ for Tiny: SiLU whole, uint8 around 128", factory=Tiny,
            produces=Form("onnx", encoding="qdq", activation="u8", symmetric=True, precision="f32", profile="tiny"),
        )
    ```
    """

    kind: ClassVar[str] = "profile"
    accepts: tuple[Form, ...] = (Form("table", encoding="ranges"),)


@dataclass(frozen=True, kw_only=True)
class ResultSpec(Spec[Any]):
    """What people and files get of the results of a task: records, drawings.

    Attributes:
        task: Of the contracts.
        suffix: Of a drawing of one input, e.g. `.jpg`.

    ```python
    from qcore.plugin import hookimpl
    from qcore_kit.kinds import ResultSpec


    class Depths:
        def records(self, result):
            return [{"depth": float(result)}]

        def draw(self, raw, result, path):
            path.write_text(f"{result} m")


    @hookimpl
    def qcore_results():
        yield ResultSpec(name="depths", summary="Depths as text", factory=Depths, task="depth", suffix=".txt")
    ```
    """

    kind: ClassVar[str] = "result"
    task: str
    suffix: str = ".jpg"


@dataclass(frozen=True, kw_only=True)
class LayoutSpec(Spec[Any]):
    """How the outputs of a detector are arranged; see `qcore_kit.layouts` for what its target can be asked.

    Attributes:
        matches: (meaning, stage) of each output, in any order.
        several: Whether there are several such outputs, one a level.

    ```python
    from qcore.plugin import hookimpl
    from qcore_kit.kinds import LayoutSpec


    class Turned:
        def read(self, outputs, values):
            rows = values[outputs[0].name]
            return rows[..., [1, 0, 3, 2]], rows[..., 4:]


    @hookimpl
    def qcore_layouts():
        yield LayoutSpec(
            name="turned", summary="[B, N, 4 + classes], top, left, bottom, right", factory=Turned,
            matches=(("turned", "decoded"),),
        )
    ```
    """

    kind: ClassVar[str] = "layout"
    matches: tuple[tuple[str, str], ...]
    several: bool = False


@dataclass(frozen=True, kw_only=True)
class TunerSpec(Spec["Tuner"]):
    """Changes what is quantized, file by file, until something holds. It takes part where its option is given.

    ```python
    from qcore.plugin import Option, hookimpl
    from qcore_kit.kinds import TunerSpec
    from qcore_kit.tuning.target import Tuned


    class Sparing:
        def tune(self, run, target, judge, *, options, folder, output):
            kept = tuple(row["layer"] for row in run.model("quantizer").layers[: options["spare"]])
            return Tuned(run.vary(run.recipe.exclude_layers(*kept)), kept, {"spared": len(kept)})


    @hookimpl
    def qcore_tuners():
        yield TunerSpec(
            name="sparing", summary="Leaves the first layers float", factory=Sparing,
            options=(Option("spare", "keep so many of the first layers in float", None, int),),
        )
    ```
    """

    kind: ClassVar[str] = "tuner"


@dataclass(frozen=True, kw_only=True)
class ObserverSpec(Spec["Observer"]):
    """Is told what a command found. It takes part where its option is given.

    ```python
    from pathlib import Path

    from qcore.plugin import Option, hookimpl
    from qcore_kit.kinds import ObserverSpec


    class Log:
        def begin(self, options, host):
            self.path = options["log"]
            self.path.touch()

        def finished(self, report):
            with self.path.open("a") as log:
                print(report.title, report.verdict, file=log)
            return [self.path]


    @hookimpl
    def qcore_observers():
        yield ObserverSpec(
            name="log", summary="A line for each command", factory=Log,
            options=(Option("log", "add a line about this command to a file", None, Path),),
        )
    ```
    """

    kind: ClassVar[str] = "observer"


KINDS: tuple[type[Spec[Any]], ...] = (
    AnalyzerSpec,
    LayoutSpec,
    LinterSpec,
    ObserverSpec,
    ProbeSpec,
    ProfileSpec,
    ReporterSpec,
    ResultSpec,
    TunerSpec,
)
