"""YOLO-NAS: s, m, l and what was trained from them, from super-gradients checkpoints."""

from collections.abc import Iterator

import qcore


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
            qcore.Option("imgsz", "input height and width in pixels", type=object),
            qcore.Option(
                "head", "how far the graph goes: raw levels or decoded boxes", "decoded", str, ("decoded", "raw")
            ),
            qcore.Option("batch", "batch size of the input, or dynamic", 1, object),
            qcore.Option(
                "preprocessing",
                "pixels the model was trained on, where the file does not say",
                None,
                str,
                ("coco", "custom", "roboflow"),
            ),
        ),
    )
