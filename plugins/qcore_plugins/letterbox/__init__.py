"""Pictures to input tensors: resize, pad, order channels, scale."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_preprocessors() -> Iterator[qcore.PreprocessorSpec]:
    """The preprocessor `letterbox`."""
    yield qcore.PreprocessorSpec(
        name="letterbox",
        summary="Pictures resized with their aspect ratio kept and padded, as each detector family was trained",
        target="qcore_plugins.letterbox.preprocessor:Letterbox",
        requires=(qcore.Requirement("cv2", "opencv-python-headless"),),
    )
