"""The hooks a plugin can implement.

Every hook takes nothing and returns an iterable of frozen specs; it must import nothing heavy. A plugin is a module
(or an object) with functions of these names marked with `qcore.hookimpl`, installed under the entry-point group
`qcore`. The core collects all of them and selects by name or by match; nothing is first come, first served.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from qcore.host import specs

PROJECT = "qcore"
API_VERSION = "1"
"""A plugin may say `qcore_api = "1"`; another number makes it `incompatible`."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """All hooks; each docstring holds a complete plugin."""

    @hookspec
    def qcore_loaders(self) -> Iterable[specs.LoaderSpec]:  # type: ignore[empty-body]
        """Loaders: from an opened file to a model with its contract.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_loaders():
            yield qcore.LoaderSpec(
                name="mynet", summary="Reads MyNet checkpoints",
                factory="mynet_qcore.loader:MyNetLoader",
                format="checkpoint", produces=qcore.Form("torch", encoding="float", precision="f32"),
            )
        ```
        """

    @hookspec
    def qcore_quantizers(self) -> Iterable[specs.QuantizerSpec]:  # type: ignore[empty-body]
        """Quantizers: from a float model and calibration data to a quantized model or a scale table.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_quantizers():
            yield qcore.QuantizerSpec(
                name="mine", summary="Quantizes my way", factory="mine.quantizer:Mine",
                accepts=(qcore.Form("onnx", encoding="float"),),
                produces=qcore.Form("onnx", encoding="qdq", activation="u8"),
            )
        ```
        """

    @hookspec
    def qcore_converters(self) -> Iterable[specs.ConverterSpec]:  # type: ignore[empty-body]
        """Converters: from one form to another.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_converters():
            yield qcore.ConverterSpec(
                name="onnx-to-tiny", summary="ONNX to the Tiny format", factory="tiny.convert:OnnxToTiny",
                accepts=(qcore.Form("onnx"),), produces=qcore.Form("tiny"),
            )
        ```
        """

    @hookspec
    def qcore_preprocessors(self) -> Iterable[specs.PreprocessorSpec]:  # type: ignore[empty-body]
        """Preprocessors: read an input and make the input tensor of it.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_preprocessors():
            yield qcore.PreprocessorSpec(name="voxels", summary="Point clouds to voxels", factory="mine.voxels:Voxels")
        ```
        """

    @hookspec
    def qcore_postprocessors(self) -> Iterable[specs.PostprocessorSpec]:  # type: ignore[empty-body]
        """Postprocessors: make results of output tensors, in the coordinates of the input.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_postprocessors():
            yield qcore.PostprocessorSpec(name="mine", summary="Boxes of MyNet", factory="mine.post:Boxes")
        ```
        """

    @hookspec
    def qcore_backends(self) -> Iterable[specs.BackendSpec]:  # type: ignore[empty-body]
        """Backends: compile a model and run it.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_backends():
            yield qcore.BackendSpec(
                name="tiny", summary="The Tiny runtime", factory="tiny.backend:Tiny",
                accepts=(qcore.Form("tiny"),),
                requires=(qcore.Requirement("tinyrt", "tiny-runtime", ">=2"),),
            )
        ```
        """

    @hookspec
    def qcore_formats(self) -> Iterable[specs.FormatSpec]:  # type: ignore[empty-body]
        """Formats: recognise a file by its content, open it, write it with its contract.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_formats():
            yield qcore.FormatSpec(name="tiny", summary="Tiny files", factory="tiny.format:TinyFormat", suffix=".tiny")
        ```
        """

    @hookspec
    def qcore_evaluators(self) -> Iterable[specs.EvaluatorSpec]:  # type: ignore[empty-body]
        """Evaluators: measure results against labels, for one task.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_evaluators():
            yield qcore.EvaluatorSpec(name="mine", summary="Depth error", factory="mine.eval:Depth", task="depth")
        ```
        """

    @hookspec
    def qcore_commands(self) -> Iterable[specs.CommandSpec]:  # type: ignore[empty-body]
        """Commands: further subcommands of the command line.

        ```python
        import qcore

        @qcore.hookimpl
        def qcore_commands():
            yield qcore.CommandSpec(name="hello", summary="Greet", factory="mine.hello:Hello")
        ```
        """


def hooks_of(kinds: Iterable[type[specs.Spec]]) -> type:
    """A class with the hook of each kind, `qcore_<kind>s`."""

    def named(kind: type[specs.Spec]) -> Any:
        def hook(self: Any) -> Any:
            """Components of this kind."""

        hook.__name__ = f"qcore_{kind.kind}s"
        return hookspec(hook)

    return type("HooksOfKinds", (), {f"qcore_{kind.kind}s": named(kind) for kind in kinds})
