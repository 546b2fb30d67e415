"""YOLOv9: t, s, m, c, e and their gelan forms, from upstream and from ultralytics checkpoints."""

from collections.abc import Iterator

from qcore.plugin import Form, LoaderSpec, Requirement, hookimpl
from qcore_kit.detectors.options import CONFIG, LOADING

qcore_api = "1"


@hookimpl
def qcore_loaders() -> Iterator[LoaderSpec]:
    """The loader `yolov9`."""
    yield LoaderSpec(
        name="yolov9",
        summary="YOLOv9 and GELAN detectors (t to e); a dual head becomes the inference model",
        factory="qcore_plugins.families.yolov9.loader:YoloV9Loader",
        requires=(Requirement("torch", "torch", extra="torch"),),
        describes="qcore_plugins.families.yolov9.contract:describe",
        format="checkpoint",
        produces=Form("torch", encoding="float", precision="f32"),
        options=(*LOADING, CONFIG),
    )
