"""CEC: a graph attention that adapts prototypes, trained on episodes in which base classes play the new ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ncapps.benchmarks.fscil_heads.average_cosine import AverageCosineHead
from ncapps.benchmarks.fscil_heads.base import BaseSession
from ncapps.benchmarks.fscil_heads.graph_attention import GraphAttention, episode_loss
from ncapps.errors import InputError

_TURNS = 3


class CECHead(AverageCosineHead):
    """Continually evolved classifiers after Zhang et al. (2021), on frozen features; the settings are theirs.

    Classes of the base session that are turned by 90, 180 or 270 degrees play the new classes of an episode. Without
    turned features other base classes do.

    Parameters
    ----------
    ways, new_ways : int
        Classes an episode, and pseudo-new ones beside them.
    shots, queries : int
        Images that make a prototype, and images that ask, a class.
    episodes : int
        Training episodes.
    learning_rate : float
        Of SGD with Nesterov momentum 0.9 and weight decay 5e-4; halved at each fifth of the episodes.
    scale : float
        Multiplies cosines in the loss.
    seed : int
        Of the first weights and the episodes.
    """

    def __init__(
        self,
        ways: int = 15,
        new_ways: int = 15,
        shots: int = 1,
        queries: int = 15,
        episodes: int = 5000,
        learning_rate: float = 2e-4,
        scale: float = 16.0,
        seed: int = 0,
    ) -> None:
        self.ways, self.new_ways, self.shots, self.queries = ways, new_ways, shots, queries
        self.episodes, self.learning_rate, self.scale, self.seed = episodes, learning_rate, scale, seed

    def fit(self, base: BaseSession) -> CECHead:
        """Take the base classes' means, and train the graph."""
        super().fit(base)
        draw = _Episodes(self, base)
        self.graph = GraphAttention(base.features.shape[1], self.seed)
        optimizer = torch.optim.SGD(
            self.graph.parameters(), lr=self.learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(1, self.episodes // 5), gamma=0.5)
        rng = np.random.default_rng(self.seed)
        for _ in range(self.episodes):
            loss = episode_loss(self.graph, *draw(rng), self.scale)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.graph.eval().requires_grad_(False)
        return self

    def cosines(self, features: np.ndarray) -> np.ndarray:
        """Return cosines after the graph's attention, (images, classes)."""
        prototypes, images = (torch.from_numpy(rows.astype(np.float32)) for rows in (self.prototypes, features))
        return self.graph(prototypes, images).numpy()


class _Episodes:
    """Draws episodes: prototypes (classes, feature width), queries, and the position of each query's class."""

    def __init__(self, settings: CECHead, base: BaseSession) -> None:
        self.settings = settings
        features, labels = base.features, base.labels
        if base.turned is not None and base.turned_rows is not None:
            labels = base.labels[base.turned_rows]
            features = np.concatenate([base.features[base.turned_rows][None], base.turned])
        else:
            features = features[None]
        self.features = torch.from_numpy(features.astype(np.float32))
        names = np.unique(labels)
        self.rows = [np.flatnonzero(labels == name) for name in names]
        self.turned = len(features) > 1
        needed = settings.ways if self.turned else settings.ways + settings.new_ways
        if self.turned and settings.new_ways > settings.ways:
            raise InputError(f"{settings.new_ways} turned classes cannot come from {settings.ways} classes an episode")
        if len(names) < needed or min(map(len, self.rows)) < settings.shots + settings.queries:
            raise InputError(
                f"an episode takes {needed} classes of {settings.shots + settings.queries} images, but the base "
                f"session has {len(names)} classes, the smallest of {min(map(len, self.rows))}; ask for fewer"
            )
        self.needed = needed

    def __call__(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        settings = self.settings
        chosen = rng.choice(len(self.rows), self.needed, replace=False)
        images = settings.shots + settings.queries
        rows = np.stack([rng.choice(self.rows[place], images, replace=False) for place in chosen])
        found = self.features[0, torch.from_numpy(rows)]
        if self.turned:
            turns = rng.integers(1, _TURNS + 1, settings.new_ways)[:, None]
            found = torch.cat([found, self.features[torch.from_numpy(turns), torch.from_numpy(rows[: len(turns)])]])
        queries = found[:, settings.shots :].flatten(0, 1)
        targets = torch.arange(len(found)).repeat_interleave(settings.queries)
        return found[:, : settings.shots].mean(1), queries, targets
