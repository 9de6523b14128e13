"""`TransferSample`: one backbone's features of the chosen images, and what several scores need of them, once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ncapps.arrays import as_features, as_labels
from ncapps.collapse import CollapseReport, measure_collapse_from_statistics
from ncapps.errors import InputError
from ncapps.statistics import ClassStatistics
from ncapps.transfer.leave_one_out import LeftOut, leave_one_out
from ncapps.transfer.principal import principal_rows
from ncapps.transfer.settings import RankSettings

# A class that is chosen keeps this many images beyond its shots, to be asked about.
_QUERIES = 5
# At most so many principal components, and one for each so many images: noise of few images fills every direction.
_COMPONENTS, _FEWEST, _IMAGES = 128, 16, 8


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferSample:
    """Features of labelled images, as every score takes them.

    Parameters
    ----------
    features : numpy.ndarray
        float64, shape (images, feature width).
    codes : numpy.ndarray
        The class of each image as a number from 0, shape (images,); every number occurs.
    settings : RankSettings
        Shots, draws and seed.
    """

    features: np.ndarray
    codes: np.ndarray
    settings: RankSettings = RankSettings()

    @classmethod
    def of(cls, features: Any, labels: Any, settings: RankSettings | None = None) -> TransferSample:
        """Check features and labels, one an image, and return the sample.

        Raises
        ------
        InputError
            If they do not fit each other, a value is not finite, or there are fewer than two classes.

        Examples
        --------
        >>> TransferSample.of([[0.0], [1.0], [2.0]], ["cat", "dog", "dog"]).n_classes
        2
        """
        values = as_features(features, min_rows=2)
        names, codes = np.unique(as_labels(labels, len(values)), return_inverse=True)
        if len(names) < 2:
            raise InputError(
                f"backbones are ranked by how well they tell classes apart: two or more are needed, but {len(names)} "
                "came; does the folder hold one sub-folder a class?"
            )
        if len(names) == len(values):
            raise InputError(f"each of the {len(names)} classes has one image only; two or more of some are needed")
        return cls(features=values, codes=codes, settings=settings or RankSettings())

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.codes.max()) + 1

    @cached_property
    def counts(self) -> np.ndarray:
        """Images a class, shape (classes,)."""
        return np.bincount(self.codes)

    @cached_property
    def statistics(self) -> ClassStatistics:
        """Counts, means and scatter."""
        return ClassStatistics.from_features(self.features, self.codes)

    @cached_property
    def reduced(self) -> np.ndarray:
        """The features' first principal components, shape (images, components), 128 of them where the images suffice.

        Shrunk covariances favour narrow networks, whatever these know; in as many directions all have a fair chance.
        """
        most = min(_COMPONENTS, max(_FEWEST, len(self.features) // _IMAGES))
        return principal_rows(self.features - self.features.mean(axis=0), most)

    @cached_property
    def collapse(self) -> CollapseReport:
        """The collapse measures."""
        return measure_collapse_from_statistics(self.statistics)

    @cached_property
    def left_out(self) -> LeftOut:
        """What a tied-covariance classifier says of each image when it is left out."""
        return leave_one_out(self.features, self.codes)


def choose_images(labels: Any, settings: RankSettings) -> np.ndarray:
    """Return the positions of a seeded choice of images, as even over the classes as they allow, ascending.

    Where the budget holds too few images of each class for the shots and some questions, fewer classes are drawn.

    Parameters
    ----------
    labels : array-like of str or of int
        One class name an image.
    settings : RankSettings
        Budget, shots and seed.

    Examples
    --------
    >>> choose_images(["a"] * 50 + ["b"] * 3, RankSettings(budget=10)).shape
    (10,)
    """
    codes = np.unique(as_labels(labels), return_inverse=True)[1]
    if not settings.budget or len(codes) <= settings.budget:
        return np.arange(len(codes))
    random = np.random.default_rng(settings.seed)
    order = random.permutation(len(codes))
    counts = np.bincount(codes)
    most = max(2, settings.budget // (settings.shots + _QUERIES))
    if len(counts) > most:
        chosen = random.permutation(len(counts))[:most]
        order = order[np.isin(codes[order], chosen)]
    # An image's turn is its place within its own class: the first of every class come before the second of any.
    turn = np.empty(len(order), dtype=np.int64)
    by_class = np.argsort(codes[order], kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes[order], minlength=len(counts)))[:-1]])
    turn[by_class] = np.arange(len(order)) - starts[codes[order][by_class]]
    return np.sort(order[np.argsort(turn, kind="stable")[: settings.budget]])
