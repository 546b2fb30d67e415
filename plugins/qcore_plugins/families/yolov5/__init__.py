"""YOLOv5 v6.0 to v7.0: n, s, m, l, x and the P6 models, and what was trained from them."""

from collections.abc import Iterator

from qcore.plugin import Form, LoaderSpec, Requirement, hookimpl
from qcore_kit.detectors.options import CONFIG, LOADING

qcore_api = "1"


@hookimpl
def qcore_loaders() -> Iterator[LoaderSpec]:
    """The loader `yolov5`."""
    yield LoaderSpec(
        name="yolov5",
        summary="YOLOv5 detectors (n to x, P5 and P6) from upstream checkpoints",
        factory="qcore_plugins.families.yolov5.loader:YoloV5Loader",
        requires=(Requirement("torch", "torch", extra="torch"),),
        describes="qcore_plugins.families.yolov5.contract:describe",
        format="checkpoint",
        produces=Form("torch", encoding="float", precision="f32"),
        options=(*LOADING, CONFIG),
    )
