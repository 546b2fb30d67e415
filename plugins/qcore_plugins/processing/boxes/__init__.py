"""Outputs of YOLO-type heads to detections in picture coordinates."""

from collections.abc import Iterator

from qcore.plugin import PostprocessorSpec, hookimpl
from qcore_kit.kinds import LayoutSpec

qcore_api = "1"


@hookimpl
def qcore_postprocessors() -> Iterator[PostprocessorSpec]:
    """The postprocessor `yolo`."""
    yield PostprocessorSpec(
        name="yolo",
        summary="Decodes raw heads, applies thresholds and non-maximum suppression",
        factory="qcore_plugins.processing.boxes.postprocessor:Yolo",
    )


_DECODED = {
    "boxes-objectness-classes": ("OBJECTNESS", "[B, N, 5 + classes]: cx, cy, w, h, objectness, class scores"),
    "boxes-classes": ("COLUMNS", "[B, 4 + classes, N]: cx, cy, w, h, class scores"),
    "boxes-classes-rows": ("ROWS", "[B, N, 4 + classes]: cx, cy, w, h, class scores"),
    "corners-classes": ("CORNERS", "[B, 4 + classes, N]: left, top, right, bottom, class scores"),
    "corners-classes-rows": ("CORNER_ROWS", "[B, N, 4 + classes]: left, top, right, bottom, class scores"),
    "corners-score-class": ("LABELLED", "[B, N, 6]: left, top, right, bottom, best score, its class"),
}


@hookimpl
def qcore_layouts() -> Iterator[LayoutSpec]:
    """The layouts of YOLO-type heads."""
    place = "qcore_plugins.processing.boxes.layouts"
    for meaning, (name, summary) in _DECODED.items():
        yield LayoutSpec(name=meaning, summary=summary, factory=f"{place}:{name}", matches=((meaning, "decoded"),))
    yield LayoutSpec(
        name="corners-score-class-selected",
        summary="[B, N, 6], selected and in order of their score",
        factory=f"{place}:LABELLED",
        matches=(("corners-score-class", "nms"),),
    )
    yield LayoutSpec(
        name="boxes-scores",
        summary="[B, N, 4] left, top, right, bottom, and [B, N, classes]",
        factory=f"{place}:APART",
        matches=(("boxes", "decoded"), ("scores", "decoded")),
    )
    yield LayoutSpec(
        name="raw-anchors",
        summary="Levels [B, anchors, H, W, 5 + classes] of logits",
        factory=f"{place}:RAW_ANCHORS",
        matches=(("boxes-objectness-classes", "raw"),),
        several=True,
    )
    yield LayoutSpec(
        name="raw-bins",
        summary="Levels [B, 4 * bins + classes, H, W] of logits",
        factory=f"{place}:RAW_BINS",
        matches=(("boxes-classes", "raw"),),
        several=True,
    )
