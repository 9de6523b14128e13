"""The figures that a benchmark reports, as plain functions."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from ncapps.errors import InputError


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Return the probability that a known image scores higher than an unknown one, ties counted half; 1 = perfect.

    Parameters
    ----------
    known, unknown : numpy.ndarray
        Scores, shape (images,); higher = more in-distribution.
    """
    if not len(known) or not len(unknown):
        raise InputError(f"AUROC needs known and unknown images, but {len(known)} and {len(unknown)} came")
    truth = np.concatenate([np.ones(len(known)), np.zeros(len(unknown))])
    return float(roc_auc_score(truth, np.concatenate([known, unknown])))


def accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """Return the share of images that are named right, 0..1."""
    if len(predicted) != len(true) or not len(true):
        raise InputError(f"accuracy needs as many predictions as labels, but {len(predicted)} and {len(true)} came")
    return float(np.mean(np.asarray(predicted) == np.asarray(true)))


def harmonic_mean(first: float, second: float) -> float:
    """Return the harmonic mean of two accuracies: high only where both are."""
    return 2 * first * second / (first + second) if first + second > 0 else 0.0


def confusion(predicted: np.ndarray, true: np.ndarray, names: tuple) -> np.ndarray:
    """Return counts, shape (true class, predicted class), in the order of `names`."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(true, predicted, labels=list(names))
