"""YOLOv8, YOLO11 and YOLO26 detectors, from checkpoints of the ultralytics package; nothing in them is run."""

from collections.abc import Iterator

from qcore.plugin import Form, LoaderSpec, Option, Requirement, hookimpl
from qcore_kit.detectors.options import LOADING
from qcore_kit.kinds import LayoutSpec

qcore_api = "1"


@hookimpl
def qcore_loaders() -> Iterator[LoaderSpec]:
    """The loader `ultralytics`."""
    branches = ("one2many", "one2one")
    yield LoaderSpec(
        name="ultralytics",
        summary="YOLOv8, YOLO11 and YOLO26 detectors of every size",
        factory="qcore_ultralytics.loader:UltralyticsLoader",
        requires=(Requirement("torch", "torch", ">=2.10"),),
        format="checkpoint",
        produces=Form("torch", encoding="float", precision="f32"),
        options=(
            *LOADING,
            Option("branch", "of YOLO26: boxes for NMS, or boxes that need none", "one2many", str, branches),
        ),
    )


@hookimpl
def qcore_layouts() -> Iterator[LayoutSpec]:
    """The layout `raw-distances`."""
    yield LayoutSpec(
        name="raw-distances",
        summary="Levels [B, 4 + classes, H, W]: distances in cells, class logits",
        factory="qcore_ultralytics.layout:RawDistances",
        matches=(("distances-classes", "raw"),),
        several=True,
    )
