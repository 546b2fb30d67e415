"""YOLO-NAS: s, m, l and what was trained from them, from super-gradients checkpoints."""

from collections.abc import Iterator

import qcore
from qcore_plugins.layers.options import LOADING


@qcore.hookimpl
def qcore_loaders() -> Iterator[qcore.LoaderSpec]:
    """The loader `yolonas`."""
    yield qcore.LoaderSpec(
        name="yolonas",
        summary="YOLO-NAS detectors (s, m, l) from super-gradients checkpoints",
        target="qcore_plugins.yolonas.loader:YoloNasLoader",
        requires=(qcore.Requirement("torch", "torch", extra="torch"),),
        describes="qcore_plugins.yolonas.contract:describe",
        format="checkpoint",
        produces=qcore.Form("torch", encoding="float", precision="f32"),
        options=(
            *LOADING,
            qcore.Option(
                "preprocessing",
                "pixels the model was trained on, where the file does not say",
                None,
                str,
                ("coco", "custom", "roboflow"),
            ),
        ),
    )
