"""Rules for OpenVINO: which each linter has."""

from __future__ import annotations

from collections.abc import Sequence

from qcore_kit.checks import Rule


class OpenVinoLinter:
    """Rules on OpenVINO files."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.runtimes.openvino import rules_ir

        return [rule() for module in (rules_ir,) for rule in module.RULES]


class OnnxForOpenVinoLinter:
    """Rules on ONNX graphs."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.runtimes.openvino import rules

        return [rule() for module in (rules,) for rule in module.RULES]
