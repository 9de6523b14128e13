"""More calibration images out of the same ones: mirrored, shifted and zoomed views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from ncapps.compression.calibration import Calibration

MOST_SHIFT = 1 / 8
"""The largest shift, as a fraction of the image's side; what is uncovered is mirrored in."""
ZOOMED_SIDE = 96
"""Images of this side or more are zoomed, not shifted; small ones would be blurred."""
LEAST_AREA = 0.35
"""The smallest part of an image that a zoomed view shows; its sides are stretched by up to 4/3, as in training."""


def with_views(calibration: Calibration, views: int, *, seed: int) -> Calibration:
    """Return all first views of the images, then all second ones, and so on.

    The first view is the image itself, the second its mirror image; later ones are shifted at random as well, every
    second one mirrored. Of large images, all but the first view show a random part. Least squares asks what the dense
    network says of them, so that they need no label.

    Parameters
    ----------
    views : int
        Views of each image; 1 leaves the images alone.
    seed : int
        Seed of the shifts and of the parts.
    """
    rng = np.random.default_rng(seed)
    images = calibration.images
    parts = [images.flip(3) if view % 2 else images for view in range(views)]
    if views > 1 and min(images.shape[2:]) >= ZOOMED_SIDE:
        parts[1:] = [_zoomed(part, rng) for part in parts[1:]]
    else:
        parts[2:] = [_shifted(part, rng) for part in parts[2:]]
    labels = None if calibration.labels is None else np.tile(calibration.labels, views)
    return replace(calibration, images=torch.cat(parts), labels=labels)


def _shifted(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    height, width = images.shape[2:]
    down, right = int(height * MOST_SHIFT), int(width * MOST_SHIFT)
    padded = F.pad(images, (right, right, down, down), mode="reflect")
    tops, lefts = rng.integers(0, 2 * down + 1, len(images)), rng.integers(0, 2 * right + 1, len(images))
    places = zip(padded, tops.tolist(), lefts.tolist(), strict=True)
    return torch.stack([image[:, top : top + height, left : left + width] for image, top, left in places])


def _zoomed(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    height, width = images.shape[2:]
    found = torch.empty_like(images)
    for place, image in enumerate(images):
        side, stretch = np.sqrt(rng.uniform(LEAST_AREA, 1)), np.exp(rng.uniform(-0.5, 0.5) * np.log(4 / 3))
        high = min(height, round(height * side * stretch))
        wide = min(width, round(width * side / stretch))
        top, left = int(rng.integers(0, height - high + 1)), int(rng.integers(0, width - wide + 1))
        part = image[None, :, top : top + high, left : left + wide]
        found[place] = F.interpolate(part, (height, width), mode="bicubic", antialias=True)[0]
    return found
