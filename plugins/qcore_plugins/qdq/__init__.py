"""From a scale table to a Q/DQ graph: one converter a profile, one writer for all."""

from collections.abc import Iterator

import qcore

_ONNX = qcore.Requirement("onnx", "onnx", ">=1.17")


@qcore.hookimpl
def qcore_converters() -> Iterator[qcore.ConverterSpec]:
    """The converters `qdq-onnxruntime` and `qdq-openvino`."""
    for profile, activation, symmetric, summary in (
        ("onnxruntime", "u8", False, "every operation, asymmetric uint8"),
        ("openvino", "u8", True, "SiLU whole, uint8 around 128"),
    ):
        yield qcore.ConverterSpec(
            name=f"qdq-{profile}",
            summary=f"Writes a scale table as Q/DQ for {profile}: {summary}",
            target=f"qcore_plugins.qdq.convert:{profile}",
            requires=(_ONNX,),
            accepts=(qcore.Form("table", encoding="ranges"),),
            produces=qcore.Form("onnx", encoding="qdq", activation=activation, symmetric=symmetric, profile=profile),
        )
