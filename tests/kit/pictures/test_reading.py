"""Pictures of any kind become the 8 bits in BGR that models see, or are refused by name."""

import struct
import warnings
import zlib

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


def test_pillows_pictures_and_bytes_are_as_their_file(tmp_path):
    turned = Image.Exif()
    turned[274] = 6
    path = stored(tmp_path / "a.png", "PNG", exif=turned)
    wanted = pictures.read(path)
    assert wanted.shape == (6, 4, 3)
    assert (pictures.read(path.read_bytes()) == wanted).all()
    assert (pictures.read(Image.open(path)) == wanted).all()
    with pytest.raises(FileError, match="a picture of 3 bytes: not a readable picture"):
        pictures.read(b"abc")


def bomb(kind, side=100_000):
    """A file whose header says a square of that side, and that has next to nothing inside."""
    if kind == "png":
        parts = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0"))]
        chunks = [
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in [*parts, (b"IEND", b"")]
        ]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    head = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(64)


@pytest.mark.parametrize("kind", ["png", "bmp"])
def test_a_header_that_says_too_much_is_refused_before_memory_is_taken(tmp_path, kind):
    import resource

    (tmp_path / f"a.{kind}").write_bytes(bomb(kind))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileError, match=rf"a\.{kind}: (more than 268,435,456 pixels|not a readable picture)"):
        pictures.read(tmp_path / f"a.{kind}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "KiB"


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_a_cut_file_is_refused_and_its_decoder_says_nothing(tmp_path, capfd, kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = cv2.imencode(kind, noise)[1].tobytes()
    (tmp_path / f"cut{kind}").write_bytes(data[: len(data) // 2])
    with pytest.raises(FileError, match=rf"cut\{kind}: not a readable picture"):
        pictures.read(tmp_path / f"cut{kind}")
    assert capfd.readouterr().err == ""
