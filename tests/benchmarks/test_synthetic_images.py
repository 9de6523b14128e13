import numpy as np
import pytest

from ncapps.benchmarks.synthetic_images import noise, textures


@pytest.mark.parametrize("make", [textures, noise])
def test_seeded_grey_images(make):
    images = make(30, 8, seed=3)
    assert images.shape == (30, 8, 8)
    assert images.dtype == np.uint8
    assert np.array_equal(images, make(30, 8, seed=3))
    assert not np.array_equal(images, make(30, 8, seed=4))
    assert len(np.unique(images.reshape(30, -1), axis=0)) == 30


def test_textures_are_smooth_and_noise_is_not():
    def roughness(images):
        return np.abs(np.diff(images.astype(float), axis=2)).mean() / images.std()

    assert roughness(textures(60, 32)) < 0.8 * roughness(noise(60, 32))
