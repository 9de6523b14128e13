"""Bytes to an upright RGB image, or the reason why not; nothing in between."""

from __future__ import annotations

import functools
import io
import logging
import re
import warnings

from PIL import Image, UnidentifiedImageError

from ncapps.features.pixels import UnreadableImage as UnreadableImage
from ncapps.features.pixels import to_rgb

_logger = logging.getLogger(__name__)

MAX_PIXELS = 178_956_970
"""The most pixels that are decoded: 512 MiB of RGB in memory, and the number at which Pillow itself refuses."""

_MAX_BYTES = 2**31
# A short list, the usual ones first: some of Pillow's other readers (EPS) start programs to read a file.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "MPO", "DIB", "TGA", "ICO", "PCX", "SGI"),
    *("HEIF",),
)
_EXIF_KEYS = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, hint_size: int | None = None, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return the first frame of an encoded image as upright 8-bit RGB.

    Parameters
    ----------
    data : bytes
        The whole file: JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, JPEG 2000, AVIF, TGA, ICO, PCX or SGI.
    hint_size : int, optional
        The short side, in pixels, that the caller will shrink the image to. A JPEG is then decoded at 1/2, 1/4 or
        1/8 of its size, as long as both sides stay at twice the hint or more; other formats ignore it.
    max_pixels : int
        The most pixels (width times height) that are decoded.

    Raises
    ------
    UnreadableImage
        If the bytes are empty, truncated, damaged, no image, or too many pixels.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("L", (640, 480), 255).save(file, "JPEG")
    >>> image = decode(file.getvalue(), hint_size=100)
    >>> image.mode, image.size
    ('RGB', (320, 240))
    """
    try:
        return _translate(data, hint_size, max_pixels)
    except Warning:
        # Pillow warns of odd metadata in images that it reads well. Where the caller has turned warnings into errors
        # they end up here: the image decides, not the filter, so it is read again without them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _translate(data, hint_size, max_pixels)


def _translate(data: bytes, hint_size: int | None, max_pixels: int) -> Image.Image:
    if not data:
        raise UnreadableImage("the file is empty (0 bytes)")
    if len(data) > _MAX_BYTES:
        raise UnreadableImage(f"the file has {len(data):,} bytes, more than the limit of {_MAX_BYTES:,}")
    try:
        return _decode(data, hint_size, max_pixels)
    except (UnreadableImage, Warning):
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(_unknown_kind(data)) from None
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise UnreadableImage(_too_large(f"{int(found.group()) if found else 0:,} pixels", max_pixels)) from None
    except Exception as error:
        # Damaged bytes make Pillow's readers raise nearly anything (OSError, SyntaxError, KeyError, struct.error ...).
        text = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(f"damaged or truncated: {text}") from error


def _decode(data: bytes, hint_size: int | None, max_pixels: int) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=_formats()) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise UnreadableImage(_too_large(f"{width} x {height} = {width * height:,} pixels", max_pixels))
        if hint_size and image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * hint_size, 2 * hint_size))
        image.load()
        turn = _turn(image)
        rgb = to_rgb(image)
        if turn is None:
            return rgb
        upright = rgb.transpose(turn)
        for key in _EXIF_KEYS:  # or the next reader of the tag would turn it a second time
            upright.info.pop(key, None)
        return upright


def _turn(image: Image.Image) -> Image.Transpose | None:
    # Pillow has turned a TIFF upright when it loaded it; parsing the tags of every other file would cost time.
    if not any(key in image.info for key in _EXIF_KEYS):
        return None
    try:
        return _TURNS.get(image.getexif().get(0x0112, 1))
    except Warning:
        raise
    except Exception as error:
        # Metadata that cannot be parsed say nothing about which side is up; the pixels are sound.
        _logger.debug("unreadable EXIF data, taken as upright: %s", error)
        return None


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _too_large(size: str, max_pixels: int) -> str:
    return f"too large: {size}, more than the limit of {max_pixels:,}; shrink it or cut it into tiles"


def _unknown_kind(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"heif", b"mif1", b"msf1", b"hevc"):
        return "HEIC is not read by Pillow; convert it to JPEG, or register pillow-heif"
    if not data.strip(b"\0"):
        return "not an image: the file holds only zero bytes"
    return f"not an image that Pillow knows (it starts with {data[:8]!r})"
