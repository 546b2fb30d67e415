"""What a runtime will make of a file: rules on the Q/DQ graph, and on the contract against the graph."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_linters() -> Iterator[qcore.LinterSpec]:
    """The linters `onnx`, `openvino`, `saturation` and `contract`."""
    yield qcore.LinterSpec(
        name="onnx",
        summary="Scales, placement of Q/DQ and operators in an ONNX graph, against what each runtime does with them",
        target="qcore_plugins.linting.linters:OnnxLinter",
        requires=(qcore.Requirement("onnx", "onnx", ">=1.17"),),
        format="onnx",
    )
    yield qcore.LinterSpec(
        name="openvino",
        summary="FakeQuantize in an OpenVINO file",
        target="qcore_plugins.linting.linters:OpenVinoLinter",
        requires=(qcore.Requirement("openvino", "openvino", ">=2025.0", extra="openvino"),),
        targets=("openvino",),
        format="openvino",
    )
    yield qcore.LinterSpec(
        name="saturation",
        summary="Sums of int8 products in ONNX and OpenVINO files, against what CPUs without VNNI make of them",
        target="qcore_plugins.linting.linters:SaturationLinter",
        targets=("onnxruntime", "openvino"),
    )
    yield qcore.LinterSpec(
        name="contract",
        summary="The contract against the inputs and outputs of the file it lies in",
        target="qcore_plugins.linting.linters:ContractLinter",
    )
