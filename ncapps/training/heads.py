"""The three heads that training to collapse can use: learned, a fixed simplex, running class means.

Each turns features into logits while training, and ends as the model's own linear layer, so that a trained model is an
ordinary timm model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncapps.errors import InputError
from ncapps.simplex import SimplexETF

_MOMENTUM = 0.9


class CollapseHead(nn.Module):
    """A head over the model's own linear layer; with a scale, features and rows are made unit vectors first.

    Parameters
    ----------
    linear : nn.Linear
        The model's classifier, (feature width) to (classes); it is trained, fixed or overwritten in place.
    scale : float, optional
        Length the features are scaled to; None leaves features and rows as they are.
    """

    def __init__(self, linear: nn.Linear, scale: float | None = None) -> None:
        super().__init__()
        self.linear = linear
        self.scale = scale

    @property
    def rows(self) -> Tensor:
        """The classes' rows, (classes, feature width)."""
        return self.linear.weight

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (images, classes) for float32 features (images, feature width)."""
        if self.scale is None:
            return F.linear(features, self.rows, self.linear.bias)
        return self.scale * F.linear(F.normalize(features, dim=1), F.normalize(self.rows, dim=1))

    def observe(self, features: Tensor, labels: Tensor) -> None:
        """Take note of one training batch; most heads need not."""

    @torch.no_grad()
    def settle(self, feature_norm: float) -> None:
        """Write the head into the linear layer: the same class wins for every image, as |features| cancels there.

        With a scale, an image whose features have the length `feature_norm` gets the logits it had in training.
        """
        if self.scale is None:
            return
        self.linear.weight.copy_(F.normalize(self.rows, dim=1) * self.scale / max(feature_norm, 1e-12))
        _no_bias(self.linear)


class SimplexHead(CollapseHead):
    """A fixed simplex equiangular tight frame: the geometry that training would end at, given from the start.

    Papyan, Han and Donoho (2020), with the rows of length 1 and no bias; for more classes than feature width + 1 the
    rows are the best packing that `SimplexETF.construct` knows. Features that come out of a ReLU are never negative, so
    their cosine with a row stays below 1: cross-entropy does not mind, squared error does.
    """

    def __init__(self, linear: nn.Linear, scale: float | None = None, seed: int = 0) -> None:
        super().__init__(linear, scale)
        vertices = SimplexETF.construct(linear.out_features, linear.in_features, seed).vertices
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(vertices))
            _no_bias(linear)
        linear.requires_grad_(False)


class ClassMeansHead(CollapseHead):
    """Running means of each class's unit features as its row: no row is learned.

    Until a class has been seen ten times its mean is the plain one, from then on the exponentially weighted one.
    """

    means: Tensor
    seen: Tensor

    def __init__(self, linear: nn.Linear, scale: float) -> None:
        super().__init__(linear, scale)
        self.register_buffer("means", torch.zeros_like(linear.weight))
        self.register_buffer("seen", torch.zeros(linear.out_features, device=linear.weight.device))
        with torch.no_grad():
            _no_bias(linear)
        linear.requires_grad_(False)

    @property
    def rows(self) -> Tensor:
        """The classes' running means, (classes, feature width)."""
        # A copy: the means move on in place while the graph of this batch still needs them.
        return self.means.clone()

    @torch.no_grad()
    def observe(self, features: Tensor, labels: Tensor) -> None:
        """Move the means of the batch's classes towards the batch's own."""
        unit = F.normalize(features.detach(), dim=1)
        one_hot = F.one_hot(labels, len(self.means)).to(unit.dtype)
        counts = one_hot.sum(0)
        here = counts > 0
        self.seen += here
        step = (1 / self.seen.clamp(min=1)).clamp(min=1 - _MOMENTUM)
        batch_means = (one_hot.T @ unit) / counts.clamp(min=1)[:, None]
        self.means += torch.where(here[:, None], step[:, None] * (batch_means - self.means), 0.0)


def make_head(linear: nn.Linear, kind: str, scale: float | None, seed: int) -> CollapseHead:
    """Return the head named `kind` ("learned", "etf", "class_means") over the model's linear layer."""
    if kind == "learned":
        return CollapseHead(linear, scale)
    if kind == "etf":
        return SimplexHead(linear, scale, seed)
    if kind == "class_means" and scale is not None:
        return ClassMeansHead(linear, scale)
    raise InputError(f"head must be 'learned', 'etf' or 'class_means' (with a feature_scale), but {kind!r} came")


def _no_bias(linear: nn.Linear) -> None:
    if linear.bias is not None:
        linear.bias.zero_()
