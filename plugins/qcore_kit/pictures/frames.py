"""One picture of a video, a camera or an animation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcore.plugin import FileError
from qcore_kit.recordings import Recording


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a recording.

    Attributes:
        recording: What it is of.
        number: From 0; frames that are broken or missing are counted, so that it is the place in the recording.
        picture: `[H, W, 3]` uint8 in BGR order; None where it cannot be decoded.
        time: Seconds from the start of the recording; None where that is not known.
    """

    recording: Recording
    number: int
    picture: np.ndarray | None
    time: float | None = None

    def __str__(self) -> str:
        return f"{self.recording}#{self.number}"

    def read(self) -> np.ndarray:
        """The picture.

        Raises:
            FileError: It cannot be decoded.
        """
        if self.picture is None:
            raise FileError(f"{self}: this frame cannot be decoded")
        return self.picture
