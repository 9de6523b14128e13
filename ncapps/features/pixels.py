"""Any pixel format to 8-bit RGB, by a stated rule for each: never clipped, never guessed."""

from __future__ import annotations

import numpy as np
from PIL import Image

_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")


class UnreadableImage(Exception):  # noqa: N818 - it names a state of the image; it goes to a ledger, not to the user
    """An image that cannot be read right; `reason` is one line for the ledger of skipped images."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded image as 8-bit RGB.

    Transparent pixels are laid on white, as a page or a viewer shows them: what lies under them is left over from
    editing, often black. Grey of 16 bits is divided by 257, so that full white stays white. Grey of 32 bits and floats
    have no white of their own, so the smallest usual full scale that holds the values is taken (1 for floats, 255,
    65535). Colour profiles are not applied.

    Raises
    ------
    UnreadableImage
        If the values have no usual full scale, or the colour mode cannot become RGB.
    """
    if image.mode in _DEEP_MODES:
        return _from_deep(image).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    if image.mode == "RGB":
        return image
    try:
        return image.convert("RGB")
    except ValueError:
        raise UnreadableImage(f"the colour mode {image.mode} cannot be turned into RGB") from None


def _on_white(image: Image.Image) -> Image.Image:
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return image.convert("RGB")
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=alpha)
    return page


def _from_deep(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    scaled = values.astype(np.float32) * np.float32(255 / _full_scale(image, values))
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def _full_scale(image: Image.Image, values: np.ndarray) -> float:
    if image.mode.startswith("I;16"):
        # Twelve-bit TIFF is unpacked into sixteen bits, but its white is 4095.
        return 4095 if _bits(image) == 12 else 65535
    if image.mode == "I" and image.format in ("PNG", "PPM"):
        return 65535
    low, high = float(values.min()), float(values.max())
    scales = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    # Resampled floats overshoot their range by a hair.
    slack = 1e-3 * high if image.mode == "F" else 0.0
    for scale in scales:
        if -slack <= low and high <= scale + slack:
            return scale
    raise UnreadableImage(
        f"its values go from {low:g} to {high:g}, which is no usual scale (0..1, 0..255, 0..65535); save it as 8-bit"
    )


def _bits(image: Image.Image) -> int:
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(258, 0)
    return int(bits[0] if isinstance(bits, tuple) else bits)
