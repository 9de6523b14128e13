import base64
import io

import numpy as np
import pytest
from PIL import Image

from ncapps.errors import InputError
from ncapps.report import plot_gallery

SVG = "{http://www.w3.org/2000/svg}"


def pixels(element):
    kind, _, data = element.get("href").partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image)


def test_the_pixels_come_through_whole(drawn):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, shape, dtype=np.uint8) for shape in ((8, 8), (5, 9, 3), (32, 32, 3))]
    drawing = drawn(plot_gallery(images, ["a", "b < c & d", "unknown"], ["known", "added", "noise"]))
    for element, image in zip(drawing.root.iter(f"{SVG}image"), images, strict=True):
        np.testing.assert_array_equal(pixels(element), image)
    assert drawing.words == ["a", "b < c & d", "unknown"]


def test_nine_images_take_two_rows(drawn):
    def height(count):
        root = drawn(plot_gallery(np.zeros((count, 4, 4), np.uint8), ["x"] * count, ["known"] * count)).root
        return int(root.get("height"))

    assert height(8) == height(1) < height(9) == height(16)


def test_a_mark_changes_the_frame_and_not_only_its_colour():
    image = [np.zeros((4, 4), np.uint8)]
    known, noise, wrong = (plot_gallery(image, ["x"], [mark]) for mark in ("known", "noise", "noise, wrong"))
    assert "dasharray" not in known
    assert len({known, noise, wrong}) == 3
    assert noise.count("dasharray") == wrong.count("dasharray") == 1


@pytest.mark.parametrize(
    ("images", "captions", "marks", "words"),
    [
        ([], [], [], "one image or more"),
        ([np.zeros((4, 4), np.uint8)], [], ["known"], "1 images came with 0 captions and 1 marks"),
        ([np.zeros((4, 4))], ["x"], ["known"], "must be uint8"),
        ([np.zeros((4, 4, 4), np.uint8)], ["x"], ["known"], "must be uint8"),
        ([np.zeros((0, 4), np.uint8)], ["x"], ["known"], "is empty"),
        ([np.zeros((4, 4), np.uint8)], ["x"], [True], "a mark must be a text"),
    ],
)
def test_bad_input_is_named(images, captions, marks, words):
    with pytest.raises(InputError, match=words):
        plot_gallery(images, captions, marks)
