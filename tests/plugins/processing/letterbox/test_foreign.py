"""What is off in somebody else's preprocessing is told by its name."""

import cv2
import numpy as np
import pytest

from qcore.plugin import Tensor
from qcore_plugins.processing.letterbox.preprocessor import Letterbox

HEIGHT, WIDTH = 150, 260


@pytest.fixture(scope="module")
def letterbox():
    return Letterbox({}, [Tensor("images", "float32", (1, 3, 128, 128))])


@pytest.fixture(scope="module")
def picture():
    """Noise with structure at every size, so that no two interpolations give the same."""
    rng = np.random.default_rng(0)
    made = np.zeros((HEIGHT, WIDTH, 3))
    for size in (4, 16, 64, HEIGHT):
        noise = rng.uniform(0, 255, (size, size, 3))
        made += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR) / 4
    return np.clip(made, 0, 255).astype(np.uint8)


def tensor(pixels, scale=1 / 255):
    return np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1)[None]).astype(np.float32) * np.float32(scale)


def boxed(letterbox, picture, interpolation=cv2.INTER_LINEAR, value=114, offset=None):
    at = letterbox.geometry(HEIGHT, WIDTH)
    (height, width), (top, left) = at.resized, at.offset if offset is None else offset
    made = np.full((128, 128, 3), value, np.uint8)
    made[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=interpolation)
    return made


def names(letterbox, picture, given):
    return [name for name, _ in letterbox.explain(picture, given)]


def test_its_own_tensor_is_not_questioned(letterbox, picture):
    assert names(letterbox, picture, letterbox.fitted(picture)[0]) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda own: own[:, ::-1], ["BGR swapped"]),
        (lambda own: own * 255, ["scale"]),
        (lambda own: (own * 255).astype(np.uint8), ["scale"]),
        (lambda own: own / 255, ["scale"]),
        (lambda own: own * 2 - 1, ["scale"]),
        (lambda own: own.transpose(0, 2, 3, 1), ["channels last"]),
        (lambda own: own[0], ["no batch axis"]),
        (lambda own: own[:, ::-1] * 255, ["BGR swapped", "scale"]),
        (lambda own: own[:, :, ::2, ::2], ["another size"]),
        (lambda own: own[:, :1], ["another tensor shape"]),
    ],
)
def test_values_and_axes(letterbox, picture, change, expected):
    assert names(letterbox, picture, change(letterbox.fitted(picture)[0])) == expected


def test_the_statistics_of_imagenet(letterbox, picture):
    mean, deviation = (np.float32(each).reshape(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    found = letterbox.explain(picture, (letterbox.fitted(picture)[0] - mean) / deviation)
    assert [name for name, _ in found] == ["scale"]
    assert "ImageNet" in found[0][1]


@pytest.mark.parametrize("kind", ["NEAREST", "CUBIC", "AREA", "LANCZOS4"])
def test_interpolations(letterbox, picture, kind):
    given = tensor(boxed(letterbox, picture, getattr(cv2, f"INTER_{kind}")))
    ((name, text),) = letterbox.explain(picture, given)
    assert name == "interpolation"
    assert text.startswith(kind.lower().rstrip("4"))


def test_corners_laid_on_one_another(letterbox, picture):
    import torch

    at = letterbox.geometry(HEIGHT, WIDTH)
    planes = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32))
    resized = torch.nn.functional.interpolate(planes, at.resized, mode="bilinear", align_corners=True)[0].numpy()
    made = np.full((128, 128, 3), 114, np.float32)
    top, left = at.offset
    made[top : top + at.resized[0], left : left + at.resized[1]] = resized.transpose(1, 2, 0)
    assert names(letterbox, picture, tensor(made)) == ["half-pixel"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"offset": (0, 0)}, ["padding side"]),
        ({"value": 0}, ["padding value"]),
        (
            {"offset": (0, 0), "value": 0, "interpolation": cv2.INTER_NEAREST},
            ["padding side", "interpolation", "padding value"],
        ),
    ],
)
def test_padding(letterbox, picture, settings, expected):
    assert names(letterbox, picture, tensor(boxed(letterbox, picture, **settings))) == expected


def test_a_stretched_picture(letterbox, picture):
    stretched = cv2.resize(picture, (128, 128))
    assert names(letterbox, picture, tensor(stretched)) == ["stretched input"]
    assert names(letterbox, picture, tensor(stretched[..., ::-1], 1)) == ["stretched input", "BGR swapped", "scale"]


def test_what_no_mistake_makes_is_not_explained(letterbox, picture):
    assert names(letterbox, picture, np.random.default_rng(1).random((1, 3, 128, 128), np.float32)) == []
