"""The graph of CEC: class prototypes and one image attend to one another, and the cosine is taken after that.

The paper's code runs the attention anew for each image, over all classes and the image. Only the image's own key and
value change from one to the next, so that here all images share the classes' attention, and the vectors of each pair of
image and class are never formed: what the cosine needs of them are inner products.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPSILON = 1e-5


class GraphAttention(nn.Module):
    """One head of self-attention with a residual and layer norm, over the classes' prototypes and an image.

    Zhang et al., Few-Shot Incremental Learning with Continually Evolved Classifiers (2021); without the dropout, which
    their code leaves off in training too.

    Parameters
    ----------
    width : int
        Feature width.
    seed : int
        Of the first weights.

    Examples
    --------
    >>> GraphAttention(4)(torch.ones(3, 4), torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(self, width: int, seed: int = 0) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.mix, self.norm = nn.Linear(width, width), nn.LayerNorm(width, eps=_EPSILON)
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.query, self.key, self.value):
            nn.init.normal_(layer.weight, std=math.sqrt(1 / width), generator=generator)
        nn.init.xavier_normal_(self.mix.weight, generator=generator)
        nn.init.zeros_(self.mix.bias)

    def forward(self, prototypes: Tensor, images: Tensor) -> Tensor:
        """Return the cosine of each image with each class after attention, (images, classes).

        Parameters
        ----------
        prototypes : Tensor
            (classes, feature width).
        images : Tensor
            (images, feature width).
        """
        scale = 1 / math.sqrt(prototypes.shape[1])
        asked = self.query(prototypes)
        keys, values = self.key(prototypes), self.mix(self.value(prototypes))
        own_key, own_value = self.key(images), self.mix(self.value(images))
        among = asked @ keys.T * scale
        # Attention over one more node is a mixture of the attention without it and the node's own value.
        share = torch.sigmoid(asked @ own_key.T * scale - among.logsumexp(1, keepdim=True)).T
        answer = self._image_nodes(images, keys, values, own_key, own_value, scale)
        return self._cosines(prototypes, among.softmax(1) @ values, own_value, share, answer)

    def _image_nodes(
        self, images: Tensor, keys: Tensor, values: Tensor, own_key: Tensor, own_value: Tensor, scale: float
    ) -> Tensor:
        asked = self.query(images)
        to_classes, to_self = asked @ keys.T * scale, (asked * own_key).sum(1, keepdim=True) * scale
        weights = torch.cat([to_classes, to_self], dim=1).softmax(1)
        return self.norm(images + weights[:, :-1] @ values + weights[:, -1:] * own_value)

    def _cosines(self, prototypes: Tensor, context: Tensor, own: Tensor, share: Tensor, answer: Tensor) -> Tensor:
        """Return cosines of norm(prototype + (1 - share) context + share own) with the images' answers."""
        fixed, moved, own = _centered(prototypes + context), _centered(context), _centered(own)
        width = own.shape[1]
        variance = _squares(fixed, moved, own, share) / width + _EPSILON
        gain, bias = self.norm.weight, self.norm.bias
        squares = _squares(fixed * gain, moved * gain, own * gain, share) / variance
        deviation = variance.sqrt()
        crossed = _products(fixed, moved, own, share, gain * bias) / deviation
        length = (squares + 2 * crossed + bias @ bias).clamp(min=1e-12).sqrt()
        inner = _products(fixed, moved, own, share, gain * answer) / deviation + (answer @ bias)[:, None]
        return inner / length / answer.norm(dim=1, keepdim=True).clamp(min=1e-6)


def _centered(rows: Tensor) -> Tensor:
    return rows - rows.mean(1, keepdim=True)


def _squares(fixed: Tensor, moved: Tensor, own: Tensor, share: Tensor) -> Tensor:
    """Return |fixed_i + share_qi (own_q - moved_i)|^2, (images, classes)."""
    cross = own @ fixed.T - (fixed * moved).sum(1)
    step = (own * own).sum(1, keepdim=True) - 2 * own @ moved.T + (moved * moved).sum(1)
    return (fixed * fixed).sum(1) + 2 * share * cross + share**2 * step


def _products(fixed: Tensor, moved: Tensor, own: Tensor, share: Tensor, other: Tensor) -> Tensor:
    """Return (fixed_i + share_qi (own_q - moved_i)) . other, (images, classes); `other` is one row, or one an image."""
    rows = other.expand(len(own), -1)
    return rows @ fixed.T + share * ((own * rows).sum(1, keepdim=True) - rows @ moved.T)


def episode_loss(graph: GraphAttention, prototypes: Tensor, queries: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Return the cross-entropy of an episode's queries over its classes."""
    return F.cross_entropy(scale * graph(prototypes, queries), targets)
