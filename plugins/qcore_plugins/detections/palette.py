"""A colour for every class, and the text that can be read on it."""

from __future__ import annotations

import colorsys
from functools import cache

Colour = tuple[int, int, int]

GOLDEN = 137.50776405003785
"""Degrees, 360 / golden ratio squared: the next hue always falls into one of the largest gaps (Vogel 1979)."""
SHADES = ((0.55, 0.95), (0.36, 0.85), (0.74, 0.80))
"""Lightness and saturation in HLS, in turn, so that classes whose hues come close differ in something else."""


@cache
def colour(index: int) -> Colour:
    """Blue, green and red, 0..255, of a class index: always the same, and not that of another class below 1000."""
    lightness, saturation = SHADES[index % len(SHADES)]
    red, green, blue = colorsys.hls_to_rgb(index * GOLDEN % 360 / 360, lightness, saturation)
    return round(blue * 255), round(green * 255), round(red * 255)


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever has the higher contrast by WCAG 2.1 (relative luminance of sRGB)."""
    blue, green, red = (_linear(part / 255) for part in background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    darker, lighter = (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)
    return (0, 0, 0) if darker > lighter else (255, 255, 255)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
