"""What a runtime will make of a file: rules on the Q/DQ graph, and on the contract against the graph."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, Requirement, hookimpl
from qcore_kit.kinds import LinterSpec

qcore_api = "1"


@hookimpl
def qcore_linters() -> Iterator[LinterSpec]:
    """The linters `onnx`, `saturation` and `contract`."""
    yield LinterSpec(
        name="onnx",
        summary="Scales, placement of Q/DQ and operators in an ONNX graph, against what every runtime does with them",
        factory="qcore_plugins.tools.check.rules.linters:OnnxLinter",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        format="onnx",
    )
    yield LinterSpec(
        name="saturation",
        summary="Sums of int8 products in ONNX and OpenVINO files, against what CPUs without VNNI make of them",
        factory="qcore_plugins.tools.check.rules.linters:SaturationLinter",
        targets=("onnxruntime", "openvino"),
    )
    yield LinterSpec(
        name="contract",
        summary="The contract against the inputs and outputs of the file it lies in",
        factory="qcore_plugins.tools.check.rules.linters:ContractLinter",
    )


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `check`."""
    yield CommandSpec(
        name="check",
        summary="check what a runtime will reject, compute incorrectly or run slowly",
        factory="qcore_plugins.tools.check.command:Check",
    )
