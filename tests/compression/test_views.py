"""Views of calibration images: the images first, then mirrored and shifted ones, repeatable."""

import pytest
import torch

from ncapps.compression.calibration import gather
from ncapps.compression.views import with_views

IMAGES = torch.randn(6, 3, 16, 24, generator=torch.Generator().manual_seed(0))


def views_of(count, seed=0):
    return with_views(gather(IMAGES, list("abcdef"), limit=9, batch_size=2, seed=0), count, seed=seed)


def test_the_first_views_are_the_image_and_its_mirror_image():
    seen = views_of(2)
    assert torch.equal(seen.images, torch.cat([IMAGES, IMAGES.flip(3)]))
    assert seen.labels.tolist() == list("abcdef") * 2
    assert torch.equal(views_of(1).images, IMAGES)


@pytest.mark.parametrize("view", [2, 3])
def test_later_ones_are_shifted_by_an_eighth_at_most(view):
    seen = views_of(4).images[6 * view : 6 * view + 6]
    source = IMAGES.flip(3) if view % 2 else IMAGES
    for image, moved in zip(source, seen, strict=True):
        inside = moved[:, 2:-2, 3:-3]
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-3, 4)
            if torch.equal(inside, image[:, 2 + down : 14 + down, 3 + right : 21 + right])
        ]
        assert len(found) == 1


def test_a_seed_repeats_and_another_differs():
    assert torch.equal(views_of(4).images, views_of(4).images)
    assert not torch.equal(views_of(4).images, views_of(4, seed=1).images)


def test_large_images_are_zoomed_into():
    ramp = torch.linspace(0, 1, 120).expand(3, 100, 120)
    large = torch.stack([ramp, ramp + 1])
    calibration = gather(large, None, limit=9, batch_size=2, seed=0)
    seen = with_views(calibration, 3, seed=0).images
    assert torch.equal(seen[:2], large)
    for view, image in enumerate(seen[2:], start=2):
        start = float(large[view % 2].min())
        columns = image.mean(dim=(0, 1)) - start
        mirrored = view in (2, 3)
        columns = columns.flip(0) if mirrored else columns
        shown = float(columns[-1] - columns[0])
        # A part between sqrt(0.35 * 3/4) and all of the width, the ramp still straight.
        assert 0.5 < shown <= 1.01
        assert torch.allclose(columns[5:-5].diff(), columns[5:-5].diff().mean(), atol=2e-3)
