"""Pictures of any kind become the 8 bits in BGR that models see, or are refused by name."""

import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from qcore.plugin import FileError
from qcore_kit.pictures import files as pictures

GREEN = (8, 200, 16)


def stored(path, kind, mode="RGB", **settings):
    """A green picture of 6x4 pixels."""
    picture = Image.new("RGB", (6, 4), GREEN)
    (picture.quantize() if mode == "P" else picture.convert(mode)).save(path, kind, **settings)
    return path


@pytest.mark.parametrize(
    ("kind", "mode", "settings"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("JPEG", "CMYK", {"quality": 100}),
        ("TIFF", "RGB", {}),
        ("BMP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
    ],
)
def test_the_content_counts_not_the_suffix(tmp_path, kind, mode, settings):
    picture = pictures.read(stored(tmp_path / "a.jpg", kind, mode, **settings))
    assert (picture.shape, picture.dtype) == ((4, 6, 3), np.uint8)
    assert np.abs(picture.astype(int) - GREEN[::-1]).max() <= 8


def test_grey_and_turned_pictures(tmp_path):
    grey = pictures.read(stored(tmp_path / "a.png", "PNG", "L"))
    assert grey.shape == (4, 6, 3)
    assert (grey == grey[..., :1]).all()
    turned = Image.Exif()
    turned[274] = 6
    assert pictures.read(stored(tmp_path / "b.jpg", "JPEG", exif=turned)).shape == (6, 4, 3)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize(("top", "divided"), [(65535, 256), (16383, 256), (4095, 16), (1023, 16)])
def test_sixteen_bits(tmp_path, suffix, top, divided):
    values = np.linspace(0, top, 32).astype(np.uint16).reshape(4, 8)
    (tmp_path / f"a{suffix}").write_bytes(cv2.imencode(suffix, values)[1].tobytes())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picture = pictures.read(tmp_path / f"a{suffix}")
    assert (picture == (values // divided)[..., None]).all()
    remarks = [str(each.message).partition(";")[0] for each in caught]
    bits = 12 if divided == 16 else 16
    reason = f"no value above {max(top, 4095)} are read as {bits}-bit (divided by {divided})"
    assert remarks == ([f"{tmp_path}: 16-bit pictures with {reason}"] if top < 65535 else [])


def test_neither_8_nor_16_bits(tmp_path):
    (tmp_path / "a.tif").write_bytes(cv2.imencode(".tiff", np.ones((4, 4, 3), np.float32))[1].tobytes())
    with pytest.raises(FileError, match=r"a\.tif: its values are float32, expected 8 or 16 bits"):
        pictures.read(tmp_path / "a.tif")
