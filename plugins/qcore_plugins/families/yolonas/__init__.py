"""YOLO-NAS: s, m, l and what was trained from them, from super-gradients checkpoints."""

from collections.abc import Iterator

from qcore.plugin import Form, LoaderSpec, Option, Requirement, hookimpl
from qcore_kit.detectors.options import LOADING

qcore_api = "1"


@hookimpl
def qcore_loaders() -> Iterator[LoaderSpec]:
    """The loader `yolonas`."""
    yield LoaderSpec(
        name="yolonas",
        summary="YOLO-NAS detectors (s, m, l) from super-gradients checkpoints",
        factory="qcore_plugins.families.yolonas.loader:YoloNasLoader",
        requires=(Requirement("torch", "torch", extra="torch"),),
        describes="qcore_plugins.families.yolonas.contract:describe",
        format="checkpoint",
        produces=Form("torch", encoding="float", precision="f32"),
        options=(
            *LOADING,
            Option(
                "preprocessing",
                "pixels the model was trained on, where the file does not say",
                None,
                str,
                ("coco", "custom", "roboflow"),
            ),
        ),
    )
