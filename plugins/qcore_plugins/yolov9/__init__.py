"""YOLOv9: t, s, m, c, e and their gelan forms, from upstream and from ultralytics checkpoints."""

from collections.abc import Iterator

import qcore
from qcore_plugins.layers.options import CONFIG, LOADING


@qcore.hookimpl
def qcore_loaders() -> Iterator[qcore.LoaderSpec]:
    """The loader `yolov9`."""
    yield qcore.LoaderSpec(
        name="yolov9",
        summary="YOLOv9 and GELAN detectors (t to e); a dual head becomes the inference model",
        target="qcore_plugins.yolov9.loader:YoloV9Loader",
        requires=(qcore.Requirement("torch", "torch", extra="torch"),),
        describes="qcore_plugins.yolov9.contract:describe",
        format="checkpoint",
        produces=qcore.Form("torch", encoding="float", precision="f32"),
        options=(*LOADING, CONFIG),
    )
