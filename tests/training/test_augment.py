from __future__ import annotations

import pytest
import torch

from ncapps.errors import InputError
from ncapps.training.augment import augment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch():
    return torch.randn(16, 3, 16, 12, generator=seeded(1))


@pytest.mark.parametrize("kind", ["none", "shift", "strokes", "crop_flip"])
def test_the_generator_decides_and_the_shape_stays(batch, kind):
    view = augment(batch, kind, seeded())
    assert view.shape == batch.shape
    assert torch.equal(view, augment(batch, kind, seeded()))
    assert torch.equal(view, augment(batch, kind, seeded(1))) == (kind == "none")


def test_none_changes_nothing(batch):
    assert torch.equal(augment(batch, "none", seeded()), batch)


@pytest.mark.parametrize("kind", ["shift", "strokes", "crop_flip"])
def test_a_flat_image_stays_flat_and_images_do_not_mix(kind):
    flat = torch.arange(16.0)[:, None, None, None].expand(16, 3, 8, 8)
    torch.testing.assert_close(augment(flat, kind, seeded()), flat)


def test_crop_flip_takes_whole_pixels_of_the_image_or_of_its_mirror():
    ramp = torch.arange(16.0).expand(64, 1, 16, 16)
    views = augment(ramp, "crop_flip", seeded())
    steps = views[:, 0, 8].diff(dim=1)[:, 3:12]
    assert set(steps.unique().tolist()) == {-1.0, 1.0}
    mirrored = float((steps[:, 0] < 0).float().mean())
    assert 0.3 < mirrored < 0.7


def test_shift_never_mirrors_and_moves_by_an_eighth_at_most():
    ramp = torch.arange(16.0).expand(64, 1, 16, 16)
    centers = augment(ramp, "shift", seeded())[:, 0, 7:9, 7:9].mean((1, 2))
    assert float((centers - 7.5).abs().max()) <= 16 / 8 * 1.05
    assert float(centers.std()) > 0.5
    slopes = augment(ramp, "shift", seeded())[:, 0, 7:9].mean(1)
    assert bool((slopes[:, 11] > slopes[:, 4]).all())


def test_strokes_warp_what_shift_leaves_straight():
    # On a plane, any mix of shift, turn, zoom and slant leaves a plane, whose second differences are zero.
    plane = (torch.arange(32.0)[:, None] + 2 * torch.arange(32.0)).expand(64, 1, 32, 32)

    def bend(kind):
        middle = augment(plane, kind, seeded())[:, 0, 12:20, 12:20]
        return float(middle.diff(n=2, dim=1).abs().mean())

    assert bend("shift") < 1e-4
    assert bend("strokes") > 0.01


def test_strokes_never_mirror():
    ramp = torch.arange(32.0).expand(256, 1, 32, 32)
    slopes = augment(ramp, "strokes", seeded())[:, 0, 12:20].mean(1)
    assert float((slopes[:, 22] > slopes[:, 9]).float().mean()) == 1.0


def test_an_unknown_kind_is_refused(batch):
    with pytest.raises(InputError, match="'none', 'shift', 'strokes' or 'crop_flip'"):
        augment(batch, "flip", seeded())
