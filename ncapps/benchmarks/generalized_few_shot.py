"""Generalized few-shot: many-shot base classes and classes added from a few images, all in one label space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ncapps.benchmarks.metrics import harmonic_mean
from ncapps.errors import InputError
from ncapps.fewshot import PrototypeClassifier


@dataclass(frozen=True, kw_only=True, eq=False)
class FewShotDraw:
    """One draw: which classes are new, which images are fitted, shots, and asked about; all as rows of the features.

    Parameters
    ----------
    base, new : tuple of str or of int
        Names of the many-shot classes and of those added later.
    fitted : numpy.ndarray
        Rows of the base classes' images.
    shots : dict of class name to numpy.ndarray
        Rows that a new class is added from, most of them first: fewer shots are a beginning of more.
    asked : numpy.ndarray
        Rows to be named, of base and of new classes; none is fitted or a shot.
    """

    base: tuple
    new: tuple
    fitted: np.ndarray
    shots: dict
    asked: np.ndarray


@dataclass(frozen=True, kw_only=True)
class FewShotResult:
    """Accuracies over the classes alike, 0..1.

    Parameters
    ----------
    base, new : float
        Mean accuracy of base and of new classes, with all of them as possible answers.
    harmonic : float
        Harmonic mean of both.
    overall : float
        Mean accuracy of all classes.
    """

    base: float
    new: float
    harmonic: float
    overall: float


def draw_few_shot(
    labels: np.ndarray, *, shots: int, new_share: float = 0.4, asked_share: float = 0.3, asked: int = 30, seed: int = 0
) -> FewShotDraw:
    """Draw new classes, their shots, and the images to ask about.

    Parameters
    ----------
    labels : numpy.ndarray
        One class name an image.
    shots : int
        Images that each new class is added from.
    new_share : float
        The share of the classes that are new; two or more are base classes always.
    asked_share : float
        The share of a base class's images that is not fitted.
    asked : int
        At most so many images of a class are asked about.
    seed : int
        Of the draw.

    Raises
    ------
    InputError
        If there are fewer than three classes, or one has too few images.
    """
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 3:
        raise InputError(f"two base classes and a new one make three, but the labels name {len(names)}")
    if counts.min() < shots + 1:
        name = names[counts.argmin()].item()
        raise InputError(
            f"{shots} shots and an image to ask about make {shots + 1}, but class {name!r} has {counts.min()}; "
            "leave out such classes"
        )
    random = np.random.default_rng(seed)
    order = random.permutation(len(names))
    base_count = min(max(2, round((1 - new_share) * len(names))), len(names) - 1)
    base, new = np.sort(order[:base_count]), np.sort(order[base_count:])
    rows = [random.permutation(np.flatnonzero(labels == name)) for name in names]
    held = [min(max(1, round(asked_share * len(part))), len(part) - 1) for part in rows]
    fitted = [rows[c][held[c] :] for c in base]
    questions = [rows[c][: held[c]][:asked] for c in base] + [rows[c][shots:][:asked] for c in new]
    return FewShotDraw(
        base=tuple(names[base].tolist()),
        new=tuple(names[new].tolist()),
        fitted=np.sort(np.concatenate(fitted)),
        shots={names[c].item(): rows[c][:shots] for c in new},
        asked=np.concatenate(questions),
    )


def name_asked(
    classifier: PrototypeClassifier, features: np.ndarray, draw: FewShotDraw, shots: int
) -> tuple[np.ndarray, np.ndarray]:
    """Add the new classes to a fitted classifier from `shots` images each, name what is asked, and take them out.

    Returns
    -------
    tuple of numpy.ndarray
        The class named for each image that is asked about, and the probability given to it.
    """
    for name, rows in draw.shots.items():
        classifier.add_class(name, features[rows[:shots]])
    probabilities = classifier.predict_proba(features[draw.asked])
    named = classifier.classes_[probabilities.argmax(axis=1)]
    for name in draw.shots:
        classifier.remove_class(name)
    return named, probabilities.max(axis=1)


def accuracies(named: np.ndarray, true: np.ndarray, base: tuple) -> FewShotResult:
    """Return the accuracies of named images, every class counting alike."""
    classes, codes = np.unique(true, return_inverse=True)
    right = np.bincount(codes, weights=named == true) / np.bincount(codes)
    known = np.isin(classes, np.asarray(base))
    old, new = float(right[known].mean()), float(right[~known].mean())
    return FewShotResult(base=old, new=new, harmonic=harmonic_mean(old, new), overall=float(right.mean()))
