"""FACT: virtual prototypes are reserved among the base classes, and vote on every image beside the real ones."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional as F

from ncapps.benchmarks.fscil_heads.average_cosine import AverageCosineHead
from ncapps.benchmarks.fscil_heads.base import BaseSession, unit

_MASKED = -1e9
_VIRTUAL_A_CLASS = 3


class FACTHead(AverageCosineHead):
    """Forward compatible training after Zhou et al. (2022) and their code, on frozen features.

    There the backbone is trained along with the virtual prototypes, and mixes two images half-way through; here the
    rows alone are trained, and the features are mixed. The base rows then give way to class means, as there.

    Parameters
    ----------
    balance : float
        Weight of the three terms that place the virtual prototypes; published for CIFAR-100: 0.001.
    mixing : float
        Of the Beta law that two images are mixed by; published: 0.5.
    vote : float
        Weight of the virtual prototypes' vote on an image, in [0, 1]; published: 0.1.
    voters : int
        The most alike virtual prototypes that vote; published: 40.
    scale : float
        Multiplies cosines; published: 16.
    epochs, batch_size, learning_rate
        Of SGD with Nesterov momentum 0.9, weight decay 5e-4 and a cosine schedule.
    seed : int
        Of the first rows, the order of the images, the mixing and the virtual prototypes that a class may use.
    """

    def __init__(
        self,
        balance: float = 0.001,
        mixing: float = 0.5,
        vote: float = 0.1,
        voters: int = 40,
        scale: float = 16.0,
        epochs: int = 30,
        batch_size: int = 256,
        learning_rate: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.balance, self.mixing, self.vote, self.voters, self.scale = balance, mixing, vote, voters, scale
        self.epochs, self.batch_size, self.learning_rate, self.seed = epochs, batch_size, learning_rate, seed

    def fit(self, base: BaseSession) -> FACTHead:
        """Train real and virtual rows on the base session, and put class means in place of the real ones."""
        super().fit(base)
        count = len(self.names)
        rows = torch.empty(count + base.to_come, base.features.shape[1])
        torch.nn.init.orthogonal_(rows, generator=torch.Generator().manual_seed(self.seed))
        rows.requires_grad_(True)
        rng = np.random.default_rng(self.seed)
        usable = _usable(count, base.to_come, rng)
        features = torch.from_numpy(base.features.astype(np.float32))
        targets = torch.from_numpy(np.searchsorted(self.names, base.labels))
        optimizer = torch.optim.SGD([rows], lr=self.learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
        for _ in range(self.epochs):
            order = torch.from_numpy(rng.permutation(len(features)))
            for batch in order.split(self.batch_size):
                mixed = float(rng.beta(self.mixing, self.mixing)), torch.from_numpy(rng.permutation(len(batch)))
                loss = self._loss(features[batch], targets[batch], rows, usable, *mixed)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
        self.virtual = unit(rows.detach().numpy()[count:].astype(np.float64))
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Name the class by the weighted sum of both votes, shape (images,)."""
        real = softmax(self.scale * self.cosines(features), axis=1)
        if not len(self.virtual):
            return self.names[real.argmax(axis=1)]
        likeness = unit(features) @ self.virtual.T
        if self.voters < likeness.shape[1]:
            least = np.partition(likeness, -self.voters, axis=1)[:, [-self.voters]]
            likeness = np.where(likeness >= least, likeness, 0.0)
        voted = softmax(likeness @ (self.virtual @ unit(self.prototypes).T), axis=1)
        return self.names[(self.vote * voted + (1 - self.vote) * real).argmax(axis=1)]

    def _loss(
        self, features: Tensor, targets: Tensor, rows: Tensor, usable: Tensor, part: float, partner: Tensor
    ) -> Tensor:
        """Return the base loss plus, weighted by `balance`, those that reserve room and that forecast new classes."""
        count = len(usable)
        logits = self._logits(features, torch.cat([rows[:count], rows[count:].detach()]))
        loss = F.cross_entropy(logits[:, :count], targets)
        if len(rows) == count:
            return loss
        others = logits.scatter(1, targets[:, None], _MASKED)
        nearest = (logits[:, count:] * usable[targets]).argmax(dim=1) + count
        loss_of_second = F.cross_entropy(others, nearest)
        apart = targets != targets[partner]
        if not bool(apart.any()):
            return loss + self.balance * loss_of_second
        mixed = self._logits((part * features + (1 - part) * features[partner])[apart], rows)
        virtual, real = mixed[:, count:].argmax(dim=1) + count, mixed[:, :count].argmax(dim=1)
        without = mixed.scatter(1, virtual[:, None], _MASKED)
        forecast = F.cross_entropy(mixed, virtual) + F.cross_entropy(without, real)
        return loss + self.balance * (loss_of_second + forecast)

    def _logits(self, features: Tensor, rows: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(features, dim=1), F.normalize(rows, dim=1))


def _usable(classes: int, virtual: int, rng: np.random.Generator) -> Tensor:
    """Return which virtual prototypes each base class may take for its second nearest, (classes, virtual)."""
    chosen = np.zeros((classes, virtual), dtype=np.float32)
    for column in range(virtual):
        chosen[rng.choice(classes, min(_VIRTUAL_A_CLASS, classes), replace=False), column] = 1
    return torch.from_numpy(chosen)
