"""`DryRun`: what adding a class would do, told beforehand from its images and from how known classes fared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from ncapps.arrays import Label, native
from ncapps.errors import InputError
from ncapps.fewshot.metric import Arrays, Metric
from ncapps.fewshot.rehearsed import Rehearsed, own_and_others
from ncapps.fewshot.table import Table
from ncapps.statistics import ClassStatistics

_MOST_MORE, _COLLISIONS, _RARE = 100, 5, 0.05
_SIMULATED_CLASSES, _SIMULATED_IMAGES = 40, 20


@dataclass(frozen=True, kw_only=True)
class Collision:
    """A known class that images of the new one would be taken for.

    Parameters
    ----------
    name : str or int
        The known class.
    share : float
        The share of the new class's images expected to be given its name, 0..1.
    """

    name: Label
    share: float


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What `add_class` would do; nothing has changed.

    Parameters
    ----------
    name : str or int
        The new class.
    images : int
        How many came.
    agreement : tuple of float
        How much more each image is like the others than like known classes, against what is usual among them, in
        standard deviations within a class; below 0 = less. Zeros for a single one, which nothing can disagree with.
    consistent : bool
        False where one agrees less than all but about 5 % of classes' least agreeing images do.
    odd_one_out : int or None
        The row of that image, where the others agree without it; never told of fewer than four.
    expected_accuracy : float
        The share of new images of the class expected to be named right, 0..1.
    accuracy_by_images : tuple of (int, float)
        The same, had the class so many images in all.
    wanted_accuracy : float
        What was asked for, 0..1.
    images_needed : int or None
        How many more images it would take; None where a hundred more would not do.
    collisions : tuple of Collision
        The known classes that most images would be lost to, up to five; their shares and those of all others add up to
        1 - expected_accuracy.
    rehearsed : bool
        Whether the estimate rests on known classes that were hidden during the fit. Otherwise (fixed knobs and
        temperature, statistics alone, or too few images) it rests on images simulated from the statistics, which holds
        as far as features are Gaussian.
    """

    name: Label
    images: int
    agreement: tuple[float, ...]
    consistent: bool
    odd_one_out: int | None
    expected_accuracy: float
    accuracy_by_images: tuple[tuple[int, float], ...]
    wanted_accuracy: float
    images_needed: int | None
    collisions: tuple[Collision, ...]
    rehearsed: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A classifier's parts as a dry run sees them; `prior` is what is added to the scores of the table's classes."""

    metric: Metric
    frame: Arrays
    statistics: ClassStatistics
    table: Table
    prior: np.ndarray
    new_prior: float
    seed: int

    def scores(self, means: np.ndarray, count: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Score prepared rows against all known classes and, each alone, new ones with these means.

        Shapes (rows, known classes) and (rows, means).
        """
        if type(self.metric).combine is Metric.combine:
            placed = self.metric.place_added(self.table.learned, means, np.full(len(means), count))
            new = self.metric.scores(self.table.learned, placed, rows)
            return self.table.scores(self.metric, rows) + self.prior, new + self.new_prior
        pairs = [self._beside(mean[None], count, rows) for mean in means]
        return np.mean([old for old, _ in pairs], axis=0), np.hstack([new for _, new in pairs])

    def _beside(self, mean: np.ndarray, count: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Score against known classes and a new one that moves them."""
        learned = self.table.learned
        own = self.metric.place_added(learned, mean, np.array([count]))
        joined = {key: np.concatenate([*(one.placed[key] for one in self.table.late), row]) for key, row in own.items()}
        both = self.metric.combine(learned, self.table.alone, joined)
        scores = np.hstack([self.metric.scores(learned, part, rows) for part in both])
        return scores[:, :-1][:, self.table.order] + self.prior, scores[:, -1:] + self.new_prior


def try_class(trial: Trial, rehearsed: Rehearsed | None, name: Label, X: np.ndarray, wanted: float) -> DryRun:
    """Tell what adding the class would do, from features as they came, shape (images, feature width).

    A new class's images have margins N(m, s^2), m about what its images show when each is left out in turn and what
    hidden classes had that stood as near to others; s and the gain with more images are the hidden classes'.
    """
    model = simulated(trial) if rehearsed is None else rehearsed
    rows = trial.metric.prepare(trial.frame, X)
    known, own = _left_out(trial, rows)
    agreement = _agreement(model, own - known.mean(axis=1)) if len(own) else np.zeros(1)
    margin, uncertain = _margin(model, own, known.max(axis=1))
    images = len(X) + np.arange(_MOST_MORE + 1)
    gain = model.at("margin", images) - model.at("margin", len(X))
    spread = np.sqrt(model.at("margin_within", images) + uncertain)
    accuracies = np.maximum.accumulate(ndtr((margin + gain) / np.where(spread > 0, spread, 1e-300)))
    enough = np.flatnonzero(accuracies >= wanted)
    return DryRun(
        name=name,
        images=len(X),
        agreement=tuple(agreement.tolist()),
        consistent=_consistent(model, agreement),
        odd_one_out=_odd_one(trial, model, rows, agreement),
        expected_accuracy=float(accuracies[0]),
        accuracy_by_images=tuple(zip(images.tolist(), accuracies.tolist(), strict=True)),
        wanted_accuracy=wanted,
        images_needed=int(enough[0]) if len(enough) else None,
        collisions=_collisions(trial, known, margin, float(spread[0]), 1 - float(accuracies[0])),
        rehearsed=rehearsed is not None,
    )


def _left_out(trial: Trial, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's scores for the known classes, and for the class of the others; none for a single image."""
    count = len(rows)
    if count == 1:
        return trial.scores(rows, 1, rows)[0], np.empty(0)
    others = (rows.sum(axis=0) - rows) / (count - 1)
    known, own = trial.scores(others, count - 1, rows)
    return known, own.diagonal()


def _margin(model: Rehearsed, own: np.ndarray, rivals: np.ndarray) -> tuple[float, float]:
    """Return the class's mean margin with all its images, and how uncertain it is, as a variance."""
    count = len(rivals)
    prior, prior_variance = model.margin_prior(float(rivals.mean()), count)
    if not len(own):
        return prior, prior_variance
    seen = float((own - rivals).mean()) + float(model.at("margin", count) - model.at("margin", count - 1))
    # Means of the others share most of their images, so the margins are not independent; those of a pair are the same.
    noise = float(model.at("margin_within", count - 1)) * 2 / count
    weight = prior_variance / (prior_variance + noise) if prior_variance + noise else 1.0
    return weight * seen + (1 - weight) * prior, weight * noise


def _agreement(model: Rehearsed, leads: np.ndarray) -> np.ndarray:
    count = len(leads)
    within = float(model.at("lead_within", count - 1))
    if count < 4:
        # Too few to tell what is usual among them: what is usual among classes serves.
        deviation = np.sqrt(within + float(model.at("lead_between", count - 1))) or 1.0
        return (leads - float(model.at("lead", count - 1))) / deviation
    deviation = np.sqrt(within) or 1.0
    usual = np.array([np.median(np.delete(leads, row)) for row in range(count)])
    return (leads - usual) / deviation


def _consistent(model: Rehearsed, agreement: np.ndarray) -> bool:
    count = len(agreement)
    if count < 2:
        return True
    # The lowest of five is told; for other numbers of images as far off as a Gaussian's would be.
    factor = ndtri(_RARE / count) / ndtri(_RARE / 5)
    return bool(agreement.min() >= factor * float(model.at("lowest", max(count - 1, 1))) * np.sqrt(1 + 1.5 / count))


def _odd_one(trial: Trial, model: Rehearsed, rows: np.ndarray, agreement: np.ndarray) -> int | None:
    if len(rows) < 4 or _consistent(model, agreement):
        return None
    least = int(agreement.argmin())
    known, own = _left_out(trial, np.delete(rows, least, axis=0))
    return least if _consistent(model, _agreement(model, own - known.mean(axis=1))) else None


def _collisions(trial: Trial, known: np.ndarray, margin: float, spread: float, lost: float) -> tuple[Collision, ...]:
    """Share the expected errors out over the known classes by how likely each is to come before the new one."""
    own = known.max(axis=1).mean() + margin
    ahead = ndtr((known - own) / (spread or 1e-300)).mean(axis=0)
    # Where all lie far below, the nearest are told all the same.
    order = np.lexsort((-known.mean(axis=0), -ahead))[:_COLLISIONS]
    shares = lost * ahead / (ahead.sum() or 1.0)
    names = trial.table.names
    return tuple(Collision(name=native(names[column]), share=float(shares[column])) for column in order)


def simulated(trial: Trial) -> Rehearsed:
    """Rehearse with images drawn from the fitted classes' statistics: each about its mean, with the common covariance.

    Raises
    ------
    InputError
        If fewer than two classes are fitted, or none has two images: how much images vary is then not known.
    """
    statistics = trial.statistics
    freedom = statistics.total - len(statistics.classes)
    if freedom < 1 or len(statistics.classes) < 2:
        raise InputError(
            "a dry run needs two fitted classes or more, and one with two images, to tell how much images of a class "
            "vary; fit with more images"
        )
    values, basis = np.linalg.eigh(statistics.within / freedom)
    deviations = np.sqrt(np.maximum(values, 0.0))
    random = np.random.default_rng(trial.seed)
    names = statistics.classes
    chosen = np.sort(random.permutation(len(names))[:_SIMULATED_CLASSES])
    shape = (len(chosen), _SIMULATED_IMAGES + 5, statistics.width)
    drawn = statistics.means[chosen][:, None] + (random.standard_normal(shape) * deviations) @ basis.T
    columns = np.searchsorted(trial.table.names, np.asarray(names)[chosen])
    images = drawn[:, 5:].reshape(-1, statistics.width)
    classes = np.repeat(np.arange(len(chosen)), _SIMULATED_IMAGES)
    scores = []
    for count in (1, 5):
        known, new = trial.scores(drawn[:, :count].mean(axis=1), count, images)
        scores.append((new[np.arange(len(images)), classes], own_and_others(known, columns[classes])[1]))
    return Rehearsed.of(scores, classes)
