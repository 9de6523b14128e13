"""Round weights to a few bits: to the nearest level, or so that later weights make up for what earlier ones lost."""

from __future__ import annotations

import torch

_SHRINKS = 40
"""How many scales are tried, from half the largest weight to all of it."""
_DAMPING = 1e-2
"""Ridge on the second moments, as a fraction of their mean diagonal, as in GPTQ."""


def level_scales(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """Return the step between two levels for each row, shape (..., rows, 1), with the least squared rounding error.

    Levels are symmetric about zero: -(2^(bits - 1) - 1) to 2^(bits - 1) - 1 times the step.

    Parameters
    ----------
    weight : Tensor
        Shape (..., rows, columns).
    """
    top = 2 ** (bits - 1) - 1
    largest = weight.abs().amax(dim=-1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
    best, least = largest / top, torch.full_like(largest, float("inf"))
    for share in torch.linspace(0.5, 1.0, _SHRINKS).tolist():
        scale = share * largest / top
        error = (nearest(weight, scale, bits) - weight).square().sum(dim=-1, keepdim=True)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best


def nearest(weight: torch.Tensor, scale: torch.Tensor, bits: int) -> torch.Tensor:
    """Return each weight's nearest level."""
    top = 2 ** (bits - 1) - 1
    return (weight / scale).round().clamp(-top, top) * scale


def absorbing(
    weight: torch.Tensor, bias: torch.Tensor, moments: torch.Tensor, scale: torch.Tensor, bits: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Round weights column by column, the rest refitted by least squares each time; the bias takes what is left.

    The error of the outputs, E||(W - Q) a||^2 over the inputs a with second moments H, is least for the columns not yet
    rounded if each rounding error e_j moves them by -e_j Hinv[j, rest] / Hinv[j, j] (optimal brain surgeon; in this
    order and by Cholesky as in GPTQ, Frantar et al. 2023, eq. 2 and algorithm 1). Columns with the largest input go
    first; the constant input, whose weight is the bias, is never rounded and goes last.

    Parameters
    ----------
    weight : Tensor
        Shape (groups, rows, columns).
    bias : Tensor
        Shape (groups, rows).
    moments : Tensor
        H with the constant input last, shape (groups, columns + 1, columns + 1).
    scale : Tensor
        Step of each row, shape (groups, rows, 1).

    Returns
    -------
    tuple of Tensor
        Rounded weights and the new bias.
    """
    columns = weight.shape[-1]
    power = moments.diagonal(dim1=-2, dim2=-1).mean(dim=0)
    order = torch.cat([power[:-1].argsort(descending=True), torch.tensor([columns], device=weight.device)])
    moments = moments[:, order][:, :, order]
    ridge = _DAMPING * moments.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
    damping = torch.eye(columns + 1, dtype=moments.dtype, device=moments.device)
    # The constant is no weight that could grow: it needs no ridge.
    damping[-1, -1] = 1e-9
    inverse = torch.linalg.inv(moments + ridge[:, None, None].clamp_min(1e-12) * damping)
    upper = torch.linalg.cholesky(inverse, upper=True)
    left = torch.cat([weight, bias[..., None]], dim=-1).to(moments.dtype)[..., order]
    done = left.clone()
    for column in range(columns):
        done[..., column] = nearest(left[..., column], scale[..., 0].to(left.dtype), bits)
        error = (left[..., column] - done[..., column]) / upper[:, None, column, column]
        left[..., column:] -= error[..., None] * upper[:, None, column, column:]
    done[..., -1] = left[..., -1]
    back = order.argsort()
    done = done[..., back].to(weight.dtype)
    return done[..., :-1], done[..., -1]
