"""Random views of a whole batch at once, drawn from a generator: shifts, turns, zooms, warps, crops and mirroring."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ncapps.errors import InputError

_SHIFT = 1 / 8
_TURN = math.radians(12)
_ZOOM = 0.1
_STROKES_TURN = math.radians(20)
_STROKES_ZOOM = 0.25
_STROKES_SHEAR = 0.25
_WARP_POINTS = 4
_WARP = 0.12


def augment(batch: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Return a random view of each image.

    Parameters
    ----------
    batch : Tensor
        Normalised images, (images, channels, height, width).
    kind : {"none", "shift", "strokes", "crop_flip"}
        "shift": up to an eighth of the side, 12 degrees and 10 % of size, the border's pixels repeated outwards;
        "strokes": as another hand would draw it: up to an eighth of the side, 20 degrees, a quarter of height and of
        width, a slant, and a smooth random warp; "crop_flip": up to an eighth of the side, and half of the images
        mirrored.
    generator : torch.Generator
        On the CPU, so that the same seed gives the same views on every device.

    Examples
    --------
    >>> augment(torch.zeros(2, 3, 8, 8), "shift", torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3, 8, 8])
    """
    if kind == "none":
        return batch
    if kind == "shift":
        return _affine(batch, generator)
    if kind == "strokes":
        return _strokes(batch, generator)
    if kind == "crop_flip":
        return _crop_flip(batch, generator)
    raise InputError(f"augment must be 'none', 'shift', 'strokes' or 'crop_flip', but {kind!r} came")


def _affine(batch: Tensor, generator: torch.Generator) -> Tensor:
    turn, zoom, across, down = (torch.rand(4, len(batch), generator=generator) * 2 - 1).to(batch.device)
    turn, zoom = turn * _TURN, 1 + zoom * _ZOOM
    # The grid runs from -1 to 1 over the image: a shift by a part of the side is twice that part.
    rows = [
        torch.stack([zoom * turn.cos(), -zoom * turn.sin(), 2 * _SHIFT * across], dim=1),
        torch.stack([zoom * turn.sin(), zoom * turn.cos(), 2 * _SHIFT * down], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(batch.shape), align_corners=False)
    return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def _strokes(batch: Tensor, generator: torch.Generator) -> Tensor:
    drawn = (torch.rand(6, len(batch), generator=generator) * 2 - 1).to(batch.device)
    turn, slant, across, down = _STROKES_TURN * drawn[0], _STROKES_SHEAR * drawn[1], *(2 * _SHIFT * drawn[2:4])
    wide, high = (1 + _STROKES_ZOOM) ** drawn[4], (1 + _STROKES_ZOOM) ** drawn[5]
    rows = [
        torch.stack([wide * turn.cos(), wide * (slant * turn.cos() - turn.sin()), across], dim=1),
        torch.stack([high * turn.sin(), high * (slant * turn.sin() + turn.cos()), down], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(batch.shape), align_corners=False)
    knots = torch.randn(len(batch), 2, _WARP_POINTS, _WARP_POINTS, generator=generator).to(batch.device)
    warp = F.interpolate(knots, batch.shape[2:], mode="bicubic", align_corners=True)
    grid = grid + _WARP * warp.permute(0, 2, 3, 1)
    return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def _crop_flip(batch: Tensor, generator: torch.Generator) -> Tensor:
    images, _, height, width = batch.shape
    margin = max(1, round(min(height, width) * _SHIFT))
    corners = torch.randint(0, 2 * margin + 1, (2, images), generator=generator).to(batch.device)
    mirrored = (torch.rand(images, generator=generator) < 0.5).to(batch.device)
    padded = F.pad(batch, (margin,) * 4, mode="replicate")
    rows = corners[0][:, None] + torch.arange(height, device=batch.device)
    columns = corners[1][:, None] + torch.arange(width, device=batch.device)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    image = torch.arange(images, device=batch.device)[:, None, None]
    picked = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)
