"""What a runtime will make of a file: rules on the Q/DQ graph, and on the contract against the graph."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, Requirement, hookimpl
from qcore_kit.kinds import LinterSpec


@hookimpl
def qcore_linters() -> Iterator[LinterSpec]:
    """The linters `onnx`, `openvino`, `saturation` and `contract`."""
    yield LinterSpec(
        name="onnx",
        summary="Scales, placement of Q/DQ and operators in an ONNX graph, against what each runtime does with them",
        factory="qcore_plugins.tools.check.linters:OnnxLinter",
        requires=(Requirement("onnx", "onnx", ">=1.17"),),
        format="onnx",
    )
    yield LinterSpec(
        name="openvino",
        summary="FakeQuantize in an OpenVINO file",
        factory="qcore_plugins.tools.check.linters:OpenVinoLinter",
        requires=(Requirement("openvino", "openvino", ">=2025.0", extra="openvino"),),
        targets=("openvino",),
        format="openvino",
    )
    yield LinterSpec(
        name="saturation",
        summary="Sums of int8 products in ONNX and OpenVINO files, against what CPUs without VNNI make of them",
        factory="qcore_plugins.tools.check.linters:SaturationLinter",
        targets=("onnxruntime", "openvino"),
    )
    yield LinterSpec(
        name="contract",
        summary="The contract against the inputs and outputs of the file it lies in",
        factory="qcore_plugins.tools.check.linters:ContractLinter",
    )


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The command `check`."""
    yield CommandSpec(
        name="check",
        summary="tell what a runtime will refuse, get wrong or run slowly",
        factory="qcore_plugins.tools.check.command:Check",
    )
