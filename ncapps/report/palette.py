"""Colours that colour-blind readers can tell apart (Okabe and Ito 2008): one a class and group, in all figures."""

from __future__ import annotations

import colorsys

from ncapps.errors import InputError

INK = "#1b2430"
MUTED = "#667080"
FAINT = "#d9dee5"
KNOWN = "#0072B2"
ADDED = "#009E73"
UNKNOWN = "#8a6f5a"
ACCENT = "#D55E00"
WRONG = ACCENT

# The yellow of the original is darkened, because its dots vanish on white.
_CLASSES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#C4AE00", "#4A4F57")
_GROUPS = ("#D55E00", "#CC79A7", "#4A4F57", "#E69F00", "#56B4E9", "#C4AE00")


def class_colour(index: int) -> str:
    """Return the colour of the class at this place of the sorted names; every eight the shades get darker.

    Examples
    --------
    >>> class_colour(0), class_colour(8)
    ('#0072B2', '#004c77')
    """
    if index < 0:
        raise InputError(f"a class's place is 0 or more, but {index} came")
    cycle, place = divmod(index, len(_CLASSES))
    return _darker(_CLASSES[place], (1.0, 0.67, 0.45)[cycle % 3])


def group_colour(index: int) -> str:
    """Return the colour of the unknown group at this place; known images are always in `KNOWN`."""
    if index < 0:
        raise InputError(f"a group's place is 0 or more, but {index} came")
    return _GROUPS[index % len(_GROUPS)]


def text_colour(background: str) -> str:
    """Return white or ink, whichever is read better on the background."""
    red, green, blue = _rgb(background)
    return INK if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 > 0.3 else "#ffffff"


def _darker(colour: str, factor: float) -> str:
    if factor == 1.0:
        return colour
    hue, light, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    red, green, blue = colorsys.hls_to_rgb(hue, light * factor, saturation)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _rgb(colour: str) -> tuple[float, float, float]:
    return int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255
