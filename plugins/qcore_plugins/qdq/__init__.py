"""From a scale table to a Q/DQ graph: one converter a profile, one writer for all."""

from collections.abc import Iterator

import qcore

_ONNX = qcore.Requirement("onnx", "onnx", ">=1.17")


@qcore.hookimpl
def qcore_converters() -> Iterator[qcore.ConverterSpec]:
    """The converters `qdq-onnxruntime`, `qdq-openvino` and `qdq-tensorrt`."""
    for profile, activation, symmetric, precision, summary in (
        ("onnxruntime", "u8", False, "f32", "every operation, asymmetric uint8"),
        ("openvino", "u8", False, "f32", "SiLU whole, asymmetric uint8"),
        ("tensorrt", "s8", True, "f16", "SiLU whole, int8 around 0, the rest in float16"),
    ):
        yield qcore.ConverterSpec(
            name=f"qdq-{profile}",
            summary=f"Writes a scale table as Q/DQ for {profile}: {summary}",
            target=f"qcore_plugins.qdq.convert:{profile}",
            requires=(_ONNX,),
            accepts=(qcore.Form("table", encoding="ranges"),),
            produces=qcore.Form(
                "onnx",
                encoding="qdq",
                activation=activation,
                symmetric=symmetric,
                precision=precision,
                profile=profile,
            ),
        )
