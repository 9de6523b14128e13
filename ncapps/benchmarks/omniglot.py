"""Omniglot: Lake's within-alphabet one-shot runs through `PrototypeClassifier`, and episodes on alphabets held out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest

from ncapps.benchmarks.omniglot_data import Drawings, OneShotRun
from ncapps.errors import InputError
from ncapps.features import FeatureExtractor
from ncapps.features.array_source import ArraySource
from ncapps.fewshot import PrototypeClassifier
from ncapps.prototypes import unit_rows
from ncapps.training.augment import augment


@dataclass(frozen=True, kw_only=True)
class ErrorRate:
    """Trials that went wrong, and what that says.

    Parameters
    ----------
    wrong, trials : int
        How many went wrong, of how many.

    Examples
    --------
    >>> rate = ErrorRate(wrong=40, trials=400)
    >>> rate.error, [round(end, 3) for end in rate.interval]
    (0.1, [0.074, 0.133])
    """

    wrong: int
    trials: int

    @property
    def error(self) -> float:
        """The share that went wrong, 0..1; 0 = perfect."""
        return self.wrong / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson 95 % interval of the error."""
        found = binomtest(self.wrong, self.trials).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)


def one_shot_mistakes(classifier: PrototypeClassifier, features: np.ndarray, runs: Sequence[OneShotRun]) -> np.ndarray:
    """Tell which trials go wrong when a run's characters are added to a classifier and only they may be the answer.

    Each test drawing is named by itself: no other test drawing has a part in it.

    Parameters
    ----------
    classifier : PrototypeClassifier
        Fitted on background characters; left as it is.
    features : numpy.ndarray
        Of the drawings that the runs name, shape (drawings, width).
    runs : sequence of OneShotRun
        From `read_runs` or `draw_runs`.

    Returns
    -------
    numpy.ndarray
        bool, shape (trials of all runs,).

    Raises
    ------
    InputError
        If there is no run.
    """
    if not runs:
        raise InputError("there is no run to answer")
    mistakes = []
    for run in runs:
        grown = copy.deepcopy(classifier)
        names = [f"run character {place:03d}" for place in range(len(run.training))]
        for name, row in zip(names, run.training, strict=True):
            grown.add_class(name, features[[row]])
        own = np.searchsorted(grown.classes_, names)
        mistakes.append(np.asarray(grown.scores(features[run.test]))[:, own].argmax(axis=1) != run.answers)
    return np.concatenate(mistakes)


def drawing_features(
    extractor: FeatureExtractor, drawings: Drawings | np.ndarray, *, views: int = 0, kind: str = "shift", seed: int = 0
) -> np.ndarray:
    """Return unit features of drawings, averaged over the drawing itself and a few views of it.

    The views are the same for every drawing (one turn, shift and zoom a view, drawn from the seed), so the features of
    one drawing don't depend on the others.

    Parameters
    ----------
    extractor : FeatureExtractor
        Of the trained backbone.
    drawings : Drawings or numpy.ndarray
        The drawings, or their pixels: uint8, shape (drawings, side, side).
    views : int
        How many views beside the drawing itself.
    kind : str
        The augmentation that views are drawn from, see `ncapps.training.augment.augment`.
    seed : int
        Of the views.

    Returns
    -------
    numpy.ndarray
        float64, shape (drawings, width), rows of length 1.
    """
    pixels = drawings.pixels if isinstance(drawings, Drawings) else drawings
    total: Any = 0.0
    for number in range(views + 1):
        seen = pixels if number == 0 else view(pixels, kind, seed + number)
        total = total + unit_rows(extractor.extract(ArraySource(seen, name="omniglot")).values.astype(np.float64))
    return unit_rows(total)


def view(pixels: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """Return one random view, the same change of every drawing, as uint8 pixels of the same shape."""
    # As channels of one image, all drawings get one and the same change.
    together = torch.from_numpy(pixels.astype(np.float32))[None]
    changed = augment(together, kind, torch.Generator().manual_seed(seed))[0]
    return changed.round().clamp(0, 255).to(torch.uint8).numpy()
