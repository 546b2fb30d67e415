"""From a scale table to a Q/DQ graph: one converter a profile, one writer for all."""

from collections.abc import Iterator

from qcore.plugin import ConverterSpec, Form, Requirement, hookimpl

_ONNX = Requirement("onnx", "onnx", ">=1.17")


@hookimpl
def qcore_converters() -> Iterator[ConverterSpec]:
    """The converters `qdq-onnxruntime`, `qdq-openvino` and `qdq-tensorrt`."""
    for profile, activation, symmetric, precision, summary in (
        ("onnxruntime", "u8", False, "f32", "every operation, asymmetric uint8"),
        ("openvino", "u8", False, "f32", "SiLU whole, asymmetric uint8"),
        ("tensorrt", "s8", True, "f16", "SiLU whole, int8 around 0, the rest in float16"),
    ):
        yield ConverterSpec(
            name=f"qdq-{profile}",
            summary=f"Writes a scale table as Q/DQ for {profile}: {summary}",
            factory=f"qcore_kit.quantization.qdq:{profile}",
            requires=(_ONNX,),
            accepts=(Form("table", encoding="ranges"),),
            produces=Form(
                "onnx",
                encoding="qdq",
                activation=activation,
                symmetric=symmetric,
                precision=precision,
                profile=profile,
            ),
        )
