"""The linters for every runtime: which rules each has."""

from __future__ import annotations

from collections.abc import Sequence

from qcore_kit.checks import Rule


class OnnxLinter:
    """Rules on ONNX graphs."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.tools.check.rules import layers, operators, placement, scales, structure

        return [rule() for module in (scales, structure, placement, layers, operators) for rule in module.RULES]


class SaturationLinter:
    """Rules on integer arithmetic, in files of either format."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.tools.check.rules import saturation

        return [rule() for rule in saturation.RULES]


class ContractLinter:
    """Rules on the contract."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.tools.check.rules import contract

        return [rule() for rule in contract.RULES]
