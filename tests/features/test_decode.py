"""Every kind of troublesome image is read right, or refused with a reason."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ncapps.features.decode import MAX_PIXELS, UnreadableImage, decode


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(height: int = 48, width: int = 64) -> Image.Image:
    """A smooth picture with a different colour in each corner."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (255 * x / (width - 1), 255 * y / (height - 1), 128 + 0 * x)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def pixels(data: bytes, **options) -> np.ndarray:
    image = decode(data, **options)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA", "WEBP"])
def test_lossless_formats_keep_every_pixel(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(pixels(encoded(photo(), kind, **options)), np.asarray(photo()))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "JPEG2000"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(kind, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    with pytest.raises(UnreadableImage, match="truncated|not an image"):
        decode(data[: int(len(data) * share)])


def test_a_truncated_progressive_jpeg_is_refused_also_in_draft():
    data = encoded(photo(512, 512), "JPEG", progressive=True, quality=95)
    for hint in (None, 32):
        with pytest.raises(UnreadableImage, match="truncated"):
            decode(data[: len(data) // 2], hint)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\0" * 500, "only zero bytes"),
        (b"hello, this is no image at all", "not an image"),
        (b"<html><body>404</body></html>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(data, words):
    with pytest.raises(UnreadableImage, match=words) as caught:
        decode(data)
    assert "\n" not in caught.value.reason


def test_cmyk_is_turned_into_rgb():
    assert np.abs(pixels(encoded(photo().convert("CMYK"), "JPEG", quality=95)) - np.asarray(photo())).mean() < 6


def test_grey_and_one_bit():
    grey = Image.new("L", (8, 8), 77)
    assert (pixels(encoded(grey, "PNG")) == 77).all()
    assert np.array_equal(pixels(encoded(Image.fromarray(np.eye(8) > 0), "PNG"))[:, :, 1], 255 * np.eye(8, dtype=int))


def test_palette_keeps_its_colours():
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    assert (pixels(encoded(picture, "PNG")) == (10, 200, 30)).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "P bytes"])
def test_transparent_pixels_are_laid_on_white(mode):
    if mode.startswith("P"):
        picture = Image.new("P", (2, 1), 0)
        picture.putpalette([0, 0, 0, 60, 60, 60])
        picture.putpixel((1, 0), 1)
        transparency = 0 if mode == "P" else bytes([0, 255])
        data = encoded(picture, "PNG", transparency=transparency)
    else:
        picture = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
        picture.putpixel((1, 0), (60, 60, 60, 255))
        data = encoded(picture.convert(mode), "PNG")
    assert pixels(data)[0].tolist() == [[255, 255, 255], [60, 60, 60]]


def test_half_transparent_is_half_white():
    assert pixels(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 128)), "PNG"))[0, 0].tolist() == [127, 127, 127]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind):
    values = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    assert pixels(encoded(Image.fromarray(values), kind))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_pgm_is_scaled_not_clipped():
    data = b"P5 3 1 65535\n" + struct.pack(">3H", 0, 128 * 257, 65535)
    assert pixels(data)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0.0, 25700.0, 65535.0]], np.float32), [0, 100, 255]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 25700, 65535]], np.int32), [0, 100, 255]),
    ],
)
def test_deep_tiff_takes_the_smallest_usual_scale(values, expected):
    assert pixels(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("values", [[[-5.0, 1.0]], [[0.0, 1e9]], [[np.nan, 1.0]]])
def test_values_without_a_scale_are_refused(values):
    with pytest.raises(UnreadableImage, match="no usual scale"):
        decode(encoded(Image.fromarray(np.array(values, np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_an_animation_the_first_frame_is_read(kind):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "lime")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    assert (pixels(data) == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind, orientation):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that a camera held so would have made
    upright = photo()
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    data = encoded(stored, kind, exif=exif, **options)
    image = decode(data)
    assert image.size == upright.size
    assert np.abs(np.asarray(image).astype(int) - np.asarray(upright)).max() < 12
    assert image.getexif().get(0x0112, 1) == 1


def test_damaged_exif_does_not_cost_the_image():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photo(), "JPEG", exif=exif.tobytes()[:15] + b"\xff" * 9)
    assert decode(data).size == photo().size


def test_sixteen_bit_with_orientation_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(np.zeros((4, 9), np.uint16)), "PNG", exif=exif)
    assert decode(data).size == (4, 9)


def huge_png(width: int, height: int) -> bytes:
    """The header of a PNG of any size; what follows does not matter, as the size decides."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def test_gigapixel_images_are_refused_by_size():
    with pytest.raises(UnreadableImage, match="too large: 1,600,000,000 pixels"):
        decode(huge_png(40_000, 40_000))


def test_the_pixel_limit_can_be_lowered_and_names_the_size():
    with pytest.raises(UnreadableImage, match=r"too large: 64 x 48 = 3,072 pixels, more than the limit of 3,071"):
        decode(encoded(photo(), "PNG"), max_pixels=3071)
    assert decode(encoded(photo(), "PNG"), max_pixels=3072).size == (64, 48)


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_the_warning_filter_does_not_decide_what_is_read(action):
    # Between its two limits Pillow only warns; the verdict must be that of the file, whatever the filter.
    data = huge_png(10_000, 10_000)
    assert 10_000**2 < MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(UnreadableImage, match="damaged or truncated"):
            decode(data)


def test_a_jpeg_is_drafted_but_stays_at_twice_the_hint():
    data = encoded(photo(960, 1280), "JPEG", quality=95)
    assert decode(data).size == (1280, 960)
    assert decode(data, 224).size == (640, 480)
    assert decode(data, 60).size == (160, 120)
    assert decode(data, 500).size == (1280, 960)


@given(height=st.integers(16, 400), width=st.integers(16, 400), hint=st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_draft_never_goes_below_twice_the_hint(height, width, hint):
    size = decode(encoded(Image.new("RGB", (width, height)), "JPEG"), hint).size
    assert size == (width, height) or min(size) >= 2 * hint


def test_draft_and_resize_agrees_with_resize():
    picture = photo(960, 1280)
    data = encoded(picture, "JPEG", quality=95)
    small = [
        np.asarray(decode(data, hint).resize((64, 48), Image.Resampling.BICUBIC)).astype(int) for hint in (None, 48)
    ]
    assert np.abs(small[0] - small[1]).mean() < 1


@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"]))
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_an_image_or_a_reason_and_nothing_else(data, kind):
    whole = bytearray(encoded(photo(16, 16), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        outcome = decode(bytes(whole)).mode
    except UnreadableImage as error:
        outcome = error.reason
    assert outcome
    assert "\n" not in outcome
