"""The preprocessor `letterbox`: every resize-and-pad pipeline of the detector families, as parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qcore.plugin import OnError, Prepared, UsageError
from qcore_kit import recordings
from qcore_kit.pictures import files as pictures
from qcore_kit.pictures.reading import is_pil
from qcore_kit.pictures.videos import recording
from qcore_kit.scripts import template
from qcore_plugins.processing.letterbox import channels
from qcore_plugins.processing.letterbox.fitting import Fitting


class Letterbox(Fitting):
    """Reads pictures and makes input tensors of them."""

    def expand(self, source: Any) -> Sequence[Any]:
        """Pictures that a path, a folder, a pattern, an array or an iterable of those stands for; folders sorted.

        A picture of Pillow, or the bytes of a picture file, is one picture.

        Lists, data.yaml and COCO json stand for the pictures that they name.

        Raises:
            FileError: A path that is not there, or a folder, pattern or file that names no picture.
            UsageError: Something that can be neither.
        """
        if isinstance(source, (np.ndarray, bytes)) or is_pil(source):
            return [source]
        if isinstance(source, (str, Path)):
            arrays = [] if self.count in channels.PICTURES else channels.arrays(Path(source))
            return arrays or pictures.listed(Path(source))
        if isinstance(source, Iterable):
            return [item for part in source for item in self.expand(part)]
        raise UsageError(
            f"a {type(source).__name__} is no picture",
            hint="give a path, a folder, or arrays [H, W, channels]",
        )

    def recording(self, source: Any) -> recordings.Recording | None:
        """The video, animation or camera that a source is, or None.

        Raises:
            MissingDevice: There is no such camera.
        """
        return recording(source)

    def items(self, source: Any, on_error: OnError | None = None) -> Iterator[Any]:
        """The pictures of a source one after another, those of videos too; see `recordings.unrolled`."""
        return recordings.unrolled(self, source, on_error)

    def read(self, item: Any) -> np.ndarray:
        """One picture, `[H, W, 3]` uint8 in BGR order, EXIF orientation applied; arrays are taken as they are.

        A model of other than 1 or 3 channels takes arrays `[H, W, C]` only.

        Raises:
            FileError: Not a picture, one of another number of channels, or a frame that cannot be decoded.
        """
        return channels.read(item, self.count)

    def example(self) -> np.ndarray:
        """A picture of noise of the tensor's own size, the same at every call."""
        shown = 3 if self.count in channels.PICTURES else self.count
        return np.random.default_rng(0).integers(0, 256, (*self.size, shown), np.uint8)

    def source(self) -> str:
        """The text of `read` and `preprocess` for `qcore snippet`.

        Raises:
            UsageError: The tensors' size depends on the picture.
        """
        if self.params.rect:
            raise UsageError("there is no script for pictures padded to rectangles", hint="--preprocess rect=False")
        params = self.params
        values = {
            "SIZE": self.size,
            "BATCH": self._batch,
            "DTYPE": self.dtype.name,
            "FIT_WITHIN": self._room(),
            "LONG_SIDE": params.fit == "long-side",
            "UPSCALE": params.upscale,
            "ROUNDING": params.rounding,
            "AREA_DOWN": params.interpolation == "area-down",
            "CENTER": params.pad == "center",
            "PAD_VALUE": params.pad_value,
            "RGB": params.channels == "RGB" and self.count == 3,
            "CHANNELS": self.count,
            "CHANNELS_LAST": self.channels_last,
            "SCALE": params.scale,
            "PICTURE_ASPECT": params.picture_aspect,
        }
        return template(Path(__file__).with_name("script.py"), values)

    def prepare(self, raw: np.ndarray) -> Prepared:
        """The input tensor of a picture by the name of the input; see `fitted`."""
        tensor, geometry = self.fitted(raw)
        return Prepared({self.name: tensor}, geometry)

    def explain(self, raw: np.ndarray, tensor: np.ndarray) -> list[tuple[str, str]]:
        """How somebody else's tensor of a picture differs from this one's; see `foreign.explain`."""
        from qcore_plugins.processing.letterbox.foreign import explain

        return explain(self, raw, tensor) if self.count == 3 else []

    def variants(self, raw: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
        """Tensors that common mistakes would make; see `foreign.variants`."""
        from qcore_plugins.processing.letterbox.foreign import variants

        return variants(self, raw) if self.count == 3 else iter(())
