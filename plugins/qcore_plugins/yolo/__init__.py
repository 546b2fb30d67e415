"""Outputs of YOLO-type heads to detections in picture coordinates."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_postprocessors() -> Iterator[qcore.PostprocessorSpec]:
    """The postprocessor `yolo`."""
    yield qcore.PostprocessorSpec(
        name="yolo",
        summary="Decodes raw heads, applies thresholds and non-maximum suppression",
        target="qcore_plugins.yolo.postprocessor:Yolo",
    )
