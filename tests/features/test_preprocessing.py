"""Pixels as timm's own evaluation transform makes them."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from ncapps.errors import InputError
from ncapps.features import Preprocessing


def picture(width, height, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("crop_mode", ["center", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos"])
@pytest.mark.parametrize("size", [(300, 200), (200, 333), (64, 64), (40, 51), (224, 225), (640, 480)])
def test_pixels_are_timms(size, interpolation, crop_mode):
    ours = Preprocessing(size=(112, 112), interpolation=interpolation, crop_pct=0.875, crop_mode=crop_mode)
    image = picture(*size)
    theirs = create_transform(
        (3, 112, 112),
        interpolation=interpolation,
        crop_pct=0.875,
        crop_mode=crop_mode,
        mean=ours.mean,
        std=ours.std,
    )
    expected = theirs(image)
    got = ours.normalise(torch.from_numpy(ours.pixels(image).copy())[None])[0]
    difference = (got - expected).abs() * torch.tensor(ours.std)[:, None, None] * 255
    assert float(difference.max()) <= 2.01  # levels of 255: the two roundings between passes differ
    assert float(difference.mean()) < 0.05


def test_settings_are_the_models_own():
    model = timm.create_model("test_resnet")
    config = resolve_model_data_config(model, use_test_size=True)
    ours = Preprocessing.of(model)
    assert (ours.size, ours.mean, ours.std) == (config["input_size"][1:], config["mean"], config["std"])
    assert (ours.interpolation, ours.crop_pct) == (config["interpolation"], config["crop_pct"])


def test_an_image_of_the_right_size_is_taken_as_it_is():
    image = picture(32, 32)
    np.testing.assert_array_equal(Preprocessing(size=(32, 32)).pixels(image), np.asarray(image))


def test_grey_networks_get_one_channel():
    ours = Preprocessing(size=(8, 8), mean=(0.5,), std=(0.5,))
    pixels = ours.pixels(Image.new("RGB", (8, 8), (255, 255, 255)))
    assert pixels.shape == (8, 8, 1)
    assert torch.allclose(ours.normalise(torch.from_numpy(pixels.copy())[None]), torch.ones(1, 1, 8, 8))


def test_normalising_is_exact_and_channels_last():
    ours = Preprocessing(size=(5, 7))
    pixels = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor(ours.mean).double(), torch.tensor(ours.std).double()
    expected = (pixels.permute(0, 3, 1, 2).double() / 255 - mean[:, None, None]) / std[:, None, None]
    got = ours.normalise(pixels)
    assert float((got - expected).abs().max()) < 1e-6
    assert got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"interpolation": "cubic"}, "interpolation must be one of nearest, bilinear"),
        ({"crop_pct": 1.5}, r"crop_pct must lie in \(0, 1\]"),
        ({"crop_mode": "left"}, "crop_mode must be one of center, squash"),
        ({"mean": (123.0, 117.0, 104.0)}, "scale 0..1, but .*divide by 255"),
        ({"std": (1.0,)}, "need 3 values each"),
        ({"size": (0, 8)}, r"size must be \(height, width\)"),
    ],
)
def test_mistakes_are_named(settings, words):
    with pytest.raises(InputError, match=words):
        Preprocessing(**settings)
