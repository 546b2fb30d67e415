"""Outputs of YOLO-type heads to detections in picture coordinates."""

from collections.abc import Iterator

from qcore.plugin import PostprocessorSpec, hookimpl

qcore_api = "1"


@hookimpl
def qcore_postprocessors() -> Iterator[PostprocessorSpec]:
    """The postprocessor `yolo`."""
    yield PostprocessorSpec(
        name="yolo",
        summary="Decodes raw heads, applies thresholds and non-maximum suppression",
        factory="qcore_plugins.processing.boxes.postprocessor:Yolo",
    )
