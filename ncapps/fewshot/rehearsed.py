"""`Rehearsed`: how hidden known classes fared when they were added back, kept to foretell how a new one will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FIRST, _LAST = 1, 5
# Of a hidden class's images so many lie below `lowest`: a fifth of 5 %, for one of five images to be told by chance.
_LOWEST_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """Hidden classes added back from 1 and from 5 images; each pair has the two.

    An image's margin is its score for its own class less that for its rival, the likeliest other class; its lead that
    score less the mean for all other classes.

    Parameters
    ----------
    lead, margin : tuple of float
        Mean over classes of the two.
    lead_within, margin_within : tuple of float
        Variance of the two within a class.
    lead_between, margin_between : tuple of float
        Variance of the classes' means.
    lowest : tuple of float
        What one of a hundred images falls short of its class's mean lead by, in standard deviations; below 0.
    rival, rival_within, rival_between : float
        Mean over classes of the rival's score, its variance within a class, and that of the classes' means.
    margin_with_rival : tuple of float
        Covariance of the classes' mean margin and mean rival score.
    """

    lead: tuple[float, ...]
    margin: tuple[float, ...]
    lead_within: tuple[float, ...]
    margin_within: tuple[float, ...]
    lead_between: tuple[float, ...]
    margin_between: tuple[float, ...]
    lowest: tuple[float, ...]
    rival: float
    rival_within: float
    rival_between: float
    margin_with_rival: tuple[float, ...]

    @classmethod
    def of(cls, scores: Sequence[tuple[np.ndarray, np.ndarray]], classes: np.ndarray) -> Rehearsed:
        """Sum up, at 1 and at 5 images, the scores for the own class and for all others, and each image's class.

        The scores have the shapes (images,) and (images, other classes); classes are numbers.
        """
        rows = [np.flatnonzero(classes == one) for one in np.unique(classes)]
        share = float(np.mean([1 / len(part) for part in rows]))
        rival = scores[-1][1].max(axis=1)
        rivals, rival_within = _means_and_within(rival, rows)
        told = []
        for own, others in scores:
            lead = own - others.mean(axis=1)
            leads, lead_within = _means_and_within(lead, rows)
            margins, margin_within = _means_and_within(own - rival, rows)
            residual = np.concatenate([lead[part] - mean for part, mean in zip(rows, leads, strict=True)])
            told.append(
                {
                    "lead": leads.mean(),
                    "margin": margins.mean(),
                    "lead_within": lead_within,
                    "margin_within": margin_within,
                    "lead_between": max(leads.var() - lead_within * share, 0.0),
                    "margin_between": max(margins.var() - margin_within * share, 0.0),
                    "lowest": np.quantile(residual, _LOWEST_SHARE) / (np.sqrt(lead_within) or 1.0),
                    "margin_with_rival": np.mean((margins - margins.mean()) * (rivals - rivals.mean())),
                }
            )
        pairs = {key: tuple(float(one[key]) for one in told) for key in told[0]}
        return cls(rival=float(rivals.mean()), rival_within=rival_within, rival_between=float(rivals.var()), **pairs)

    def at(self, name: str, images: np.ndarray | float) -> np.ndarray:
        """Return one of the pairs at other numbers of images: straight in 1 / images, as a mean of so many varies.

        A variance stays above a tenth of what it is at 5 images.
        """
        first, last = getattr(self, name)
        share = (1 / np.asarray(images, dtype=np.float64) - 1 / _LAST) / (1 / _FIRST - 1 / _LAST)
        value = last + share * (first - last)
        return np.maximum(value, 0.1 * last) if name.endswith(("within", "between")) else value

    def margin_prior(self, rival: float, images: int) -> tuple[float, float]:
        """Return mean and variance of a new class's mean margin, given its images' mean rival score: regression."""
        noise = self.rival_between + self.rival_within / images
        slope = float(self.at("margin_with_rival", images)) / noise if noise else 0.0
        mean = float(self.at("margin", images)) + slope * (rival - self.rival)
        left = float(self.at("margin_between", images)) - slope * float(self.at("margin_with_rival", images))
        return mean, max(left, 0.1 * float(self.at("margin_between", images)))


def rehearsed_of_scores(
    shots: Sequence[Sequence[np.ndarray]], codes: Sequence[np.ndarray], visible: int
) -> Rehearsed | None:
    """Sum up rounds of scores, shape (images, classes) with hidden classes last, at 1 and at 5 images each.

    `codes` has the column of each image's own class, round by round. None where there is no hidden class.
    """
    parts: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in shots]
    classes: list[np.ndarray] = []
    for turn, columns in enumerate(codes):
        rows = np.flatnonzero(columns >= visible)
        for part, rounds in zip(parts, shots, strict=True):
            part.append(own_and_others(rounds[turn][rows], columns[rows]))
        classes.append(columns[rows] + turn * (columns.max() + 1))
    if not sum(map(len, classes)):
        return None
    # Rounds of visible classes have one number of columns.
    joined = [tuple(np.concatenate(side) for side in zip(*part, strict=True)) for part in parts]
    return Rehearsed.of([(own, others) for own, others in joined], np.concatenate(classes))


def own_and_others(scores: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's score for the class of its column, and those for all others."""
    own = np.arange(scores.shape[1]) == columns[:, None]
    return scores[own], scores[~own].reshape(len(scores), scores.shape[1] - 1)


def _means_and_within(values: np.ndarray, rows: list[np.ndarray]) -> tuple[np.ndarray, float]:
    means = np.array([values[part].mean() for part in rows])
    squares = sum(float(np.sum((values[part] - mean) ** 2)) for part, mean in zip(rows, means, strict=True))
    return means, squares / max(len(values) - len(rows), 1)
