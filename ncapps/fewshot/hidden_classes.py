"""Known classes as a rehearsal: some are hidden, and added back from a few of their images."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ncapps.fewshot.metric import Metric
from ncapps.statistics import ClassStatistics

SHOTS = (1, 5)
# Enough hidden classes in all for a steady mean; a round needs a matrix decomposition, so no more than that.
_HIDDEN_IN_ALL, _FEWEST_ROUNDS = 120, 4
# More classes or images a class than this change the choice by nothing that matters.
_MOST_CLASSES, _MOST_IMAGES, _MOST_QUERIES = 100, 100, 20
_QUERY_SHARE, _POOL_SHARE = 0.3, 0.5
_DRAWS_IN_ALL = 160
FEWEST_IMAGES, FEWEST_CLASSES = SHOTS[-1] + 3, 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Rehearsal:
    """One round: visible classes to fit, hidden ones to add back, and images of both to be named.

    Parameters
    ----------
    statistics : ClassStatistics
        Of the visible classes' prepared features.
    shot_means : tuple of numpy.ndarray
        For each number in `SHOTS`, means of the hidden classes' shots, shape (draws, hidden classes, width).
    images : numpy.ndarray
        Prepared features to be named, none of them fitted or a shot, shape (images, width).
    codes : numpy.ndarray
        The own class of each: visible classes first, then hidden ones.
    """

    statistics: ClassStatistics
    shot_means: tuple[np.ndarray, ...]
    images: np.ndarray
    codes: np.ndarray


def rehearse(metric: Metric, X: np.ndarray, y: np.ndarray, seed: int = 0) -> Iterator[Rehearsal]:
    """Yield rounds that hide other classes each time; none where fewer than three classes have the images it takes.

    Parameters
    ----------
    X : numpy.ndarray
        Features of known images, shape (images, feature width).
    y : numpy.ndarray
        One class name an image.
    seed : int
        Fixes which classes are hidden, and which of their images are the shots.
    """
    codes, counts = np.unique(y, return_inverse=True, return_counts=True)[1:]
    usable = np.flatnonzero(counts >= FEWEST_IMAGES)
    if len(usable) < FEWEST_CLASSES:
        return
    random = np.random.default_rng(seed)
    most = min(len(usable), _MOST_CLASSES)
    # A covariance of two or three classes is another one than that of four or five: of few classes one is hidden.
    hidden_count = max(1, most // 3 if most > 12 else most // 6)
    rounds = min(max(_FEWEST_ROUNDS, -(-_HIDDEN_IN_ALL // hidden_count)), metric.most_rounds)
    draws = max(1, _DRAWS_IN_ALL // (rounds * hidden_count))
    # By content, so that the same images in another order are drawn alike.
    content = np.array([zlib.crc32(row) for row in np.ascontiguousarray(X)])
    order = np.lexsort((content, np.asarray(codes)))
    rows_of = np.split(order, np.cumsum(counts)[:-1])
    waiting = np.array([], dtype=np.int64)
    for _ in range(rounds):
        # Each class is hidden once before any is hidden twice.
        if len(waiting) < hidden_count:
            waiting = np.concatenate([waiting, random.permutation(np.setdiff1d(usable, waiting))])
        hidden, waiting = waiting[:hidden_count], waiting[hidden_count:]
        visible = random.permutation(np.setdiff1d(usable, hidden))[: most - hidden_count]
        drawn = [random.permutation(rows_of[c])[:_MOST_IMAGES] for c in (*visible, *hidden)]
        yield _rehearsal(metric, X, drawn, len(visible), draws, random)


def _rehearsal(
    metric: Metric, X: np.ndarray, drawn: list[np.ndarray], visible: int, draws: int, random: np.random.Generator
) -> Rehearsal:
    """`drawn` has the rows of each class, visible ones first."""
    asked = [min(_MOST_QUERIES, max(1, round(_QUERY_SHARE * len(rows)))) for rows in drawn[:visible]]
    pools = [max(SHOTS[-1], round(_POOL_SHARE * len(rows))) for rows in drawn[visible:]]
    fitted = [rows[count:] for rows, count in zip(drawn, asked, strict=False)]
    queries = [rows[:count] for rows, count in zip(drawn, asked, strict=False)]
    queries += [rows[pool:][:_MOST_QUERIES] for rows, pool in zip(drawn[visible:], pools, strict=True)]
    chosen = [
        random.permuted(np.tile(rows[:pool], (draws, 1)), axis=1)[:, : SHOTS[-1]]
        for rows, pool in zip(drawn[visible:], pools, strict=True)
    ]
    frame = metric.frame(X[np.concatenate(fitted)], seed=0)
    shots = np.stack(chosen, axis=1)
    prepared = metric.prepare(frame, X[shots.ravel()]).reshape(*shots.shape, -1)
    return Rehearsal(
        statistics=ClassStatistics.from_features(
            metric.prepare(frame, X[np.concatenate(fitted)]),
            np.repeat(np.arange(visible), [len(rows) for rows in fitted]),
        ),
        shot_means=tuple(prepared[:, :, :n].mean(axis=2) for n in SHOTS),
        images=metric.prepare(frame, X[np.concatenate(queries)]),
        codes=np.repeat(np.arange(len(queries)), [len(rows) for rows in queries]),
    )
