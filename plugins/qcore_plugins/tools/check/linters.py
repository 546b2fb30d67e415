"""The linters: which rules each has."""

from __future__ import annotations

from collections.abc import Sequence

from qcore_kit.checks import Rule


class OnnxLinter:
    """Rules on ONNX graphs."""

    def rules(self) -> Sequence[Rule]:
        """Those for every target first."""
        from qcore_plugins.runtimes.onnxruntime import rules as onnxruntime
        from qcore_plugins.runtimes.openvino import rules as openvino
        from qcore_plugins.runtimes.tensorrt import rules as tensorrt
        from qcore_plugins.tools.check import integers, layers, operators, placement, scales, structure

        modules = (scales, structure, placement, layers, operators, tensorrt, openvino, onnxruntime, integers)
        return [rule() for module in modules for rule in module.RULES]


class OpenVinoLinter:
    """Rules on OpenVINO files."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.runtimes.openvino import rules_ir as ir

        return [rule() for rule in ir.RULES]


class SaturationLinter:
    """Rules on integer arithmetic, in files of either format."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.tools.check import saturation

        return [rule() for rule in saturation.RULES]


class ContractLinter:
    """Rules on the contract."""

    def rules(self) -> Sequence[Rule]:
        """All of them."""
        from qcore_plugins.tools.check import contract

        return [rule() for rule in contract.RULES]
