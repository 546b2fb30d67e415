"""YOLOv5 v6.0 to v7.0: n, s, m, l, x and the P6 models, and what was trained from them."""

from collections.abc import Iterator

import qcore
from qcore_plugins.layers.options import CONFIG, LOADING


@qcore.hookimpl
def qcore_loaders() -> Iterator[qcore.LoaderSpec]:
    """The loader `yolov5`."""
    yield qcore.LoaderSpec(
        name="yolov5",
        summary="YOLOv5 detectors (n to x, P5 and P6) from upstream checkpoints",
        target="qcore_plugins.yolov5.loader:YoloV5Loader",
        requires=(qcore.Requirement("torch", "torch", extra="torch"),),
        describes="qcore_plugins.yolov5.contract:describe",
        format="checkpoint",
        produces=qcore.Form("torch", encoding="float", precision="f32"),
        options=(*LOADING, CONFIG),
    )
