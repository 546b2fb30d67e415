"""Pictures to input tensors: resize, pad, order channels, scale."""

from collections.abc import Iterator

from qcore.plugin import PreprocessorSpec, Requirement, hookimpl

qcore_api = "1"


@hookimpl
def qcore_preprocessors() -> Iterator[PreprocessorSpec]:
    """The preprocessor `letterbox`."""
    yield PreprocessorSpec(
        name="letterbox",
        summary="Pictures resized with their aspect ratio kept and padded, as each detector family was trained",
        factory="qcore_plugins.processing.letterbox.preprocessor:Letterbox",
        requires=(Requirement("cv2", "opencv-python-headless"),),
    )
