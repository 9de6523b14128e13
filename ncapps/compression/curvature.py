"""The Kronecker approximation of a layer's curvature: what it reads times what is made of its output."""

from __future__ import annotations

import torch
from torch import nn

from ncapps.compression.moments import wide_type


class Curvature:
    """The product of two second moments as a matrix on a layer's weights.

    Parameters
    ----------
    inner : Tensor
        E[a aᵀ] of the inputs, shape (fan-in, fan-in); or one for each channel of a depthwise convolution, in which
        case channels are taken to be independent, shape (channels, fan-in, fan-in).
    outer : Tensor
        How much the output channels count together, shape (channels, channels).
    """

    def __init__(self, inner: torch.Tensor, outer: torch.Tensor) -> None:
        self._depthwise = inner.ndim == 3
        self._inner = inner
        self._outer = torch.diagonal(outer)[:, None] if self._depthwise else outer
        self._inner_inverse = _damped_inverse(inner)
        if self._depthwise:
            self._outer_inverse = 1 / (self._outer + 1e-3 * self._outer.mean().clamp_min(1e-12))
        else:
            self._outer_inverse = _damped_inverse(outer)

    def apply(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the curvature times a weight, shape (channels, fan-in)."""
        if self._depthwise:
            return self._outer * torch.einsum("cij,cj->ci", self._inner, weight)
        return self._outer @ weight @ self._inner

    def solve(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the damped inverse of the curvature times a weight."""
        if self._depthwise:
            return self._outer_inverse * torch.einsum("cij,cj->ci", self._inner_inverse, weight)
        return self._outer_inverse @ weight @ self._inner_inverse


def channel_rows(layer: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Return what a convolution or linear layer gives as one row a channel, shape (channels, positions)."""
    if isinstance(layer, nn.Conv2d):
        return values.transpose(0, 1).flatten(1)
    return values.reshape(-1, values.shape[-1]).T


def _damped_inverse(factor: torch.Tensor) -> torch.Tensor:
    wide = factor.to(wide_type(factor.device))
    mean = torch.diagonal(wide, dim1=-2, dim2=-1).mean(dim=-1).clamp_min(1e-12)
    damping = 1e-3 * mean[..., None, None] * torch.eye(wide.shape[-1], device=wide.device, dtype=wide.dtype)
    return torch.linalg.inv(wide + damping).to(factor.dtype)
