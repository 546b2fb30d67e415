"""The linter `tensorrt`: TensorRT's own parser and builder, where they are installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from qcore.plugin import FileError, UsageError
from qcore_kit.checks import Finding, Rule, Severity, Subject
from qcore_plugins.runtimes.tensorrt.building import Built, run, words
from qcore_plugins.runtimes.tensorrt.child import Request
from qcore_plugins.runtimes.tensorrt.packages import choose
from qcore_plugins.runtimes.tensorrt.shapes import BATCHES, optimization_profile


class RefusedByTensorRt:
    """TensorRT's own parser or builder refuses the file.

    The installed TensorRT reads the file, and TensorRT for RTX also builds an engine of it, which needs no GPU, unless
    its input has a dynamic height or width. What it says is shown as it says it. It silently accepts some faults that
    other rules find, such as a weight scale on the wrong axis.

    Why: there will be no engine.

    Fix: what the other findings say; without any, `qcore export CHECKPOINT --to tensorrt` writes a graph that TensorRT
    takes.
    """

    id: ClassVar[str] = "TRT900"
    severity: ClassVar[Severity] = "error"
    targets: ClassVar[tuple[str, ...]] = ("tensorrt",)
    summary: str = "TensorRT's own parser or builder rejects the file"

    def check(self, subject: Subject) -> Iterator[Finding]:
        """One finding for each error it reports."""
        package = choose()
        try:
            built = self._tried(subject, package)
        except FileError as error:
            yield Finding(self.id, self.severity, "", error.message, "the engine cannot be built", error.hint or "")
            return
        if built.about != "file":
            yield Finding(self.id, "info", "", f"{package} could not judge: {words(built.errors[0])}")
            return
        if not built.plan and not built.errors:
            yield Finding(self.id, "info", "", f"{package} {built.version} parsed the file; no engine was built of it")
        for refusal in built.errors:
            reason = f"{package} {built.version}: {words(refusal)}"
            yield Finding(self.id, self.severity, refusal.get("node", ""), reason, "there is no engine")

    def _tried(self, subject: Subject, package: str) -> Built:
        try:
            shapes = optimization_profile(subject.inputs, BATCHES)
        except UsageError:
            shapes = None
        able = package == "tensorrt_rtx" and shapes is not None
        request = Request(package=package, onnx="", build=able, shapes=shapes)
        return run(request, subject.content.SerializeToString())


class TensorRtLinter:
    """Asks TensorRT."""

    def rules(self) -> Sequence[Rule]:
        """The one rule."""
        return [RefusedByTensorRt()]


class OnnxForTensorRtLinter:
    """Rules on ONNX graphs."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.runtimes.tensorrt import rules

        return [rule() for rule in rules.RULES]
