"""Rules for ONNX Runtime: which each linter has."""

from __future__ import annotations

from collections.abc import Sequence

from qcore_kit.checks import Rule


class OnnxRuntimeLinter:
    """Rules on ONNX graphs."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.runtimes.onnxruntime import rules, rules_integers

        return [
            rule()
            for module in (
                rules,
                rules_integers,
            )
            for rule in module.RULES
        ]
