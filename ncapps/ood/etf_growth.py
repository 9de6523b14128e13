"""Classes added to an `ETFDetector` from a few images, and the calibration that they share with the known ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial

import numpy as np

from ncapps.arrays import Label
from ncapps.ood.etf_fit import orthonormal_rows
from ncapps.ood.etf_score import raw_score
from ncapps.ood.learned import Learned
from ncapps.ood.triangular import unwhiten, whiten
from ncapps.prototypes import unit_rows

_DRAWS, _FOLDS = 500, 5
# How many images the predictive distribution counts for beside the class's own.
_PRIOR = 2


def with_added(base: Learned, added: Mapping[Label, np.ndarray]) -> Learned:
    """Return what the detector knows with further classes; nothing of the fitted ones moves.

    A class of five images can't have a calibration of its own, for the smallest p-value would be 1/6. It shares the
    known classes': images nearest to it are raised by as much as new images of it are expected to score too low.
    """
    shifts = {
        # The same images always have the same shift, and finding it is the slow part.
        name: base.once(f"shift {hashlib.sha256(rows.tobytes()).hexdigest()}", partial(_shift, base, rows))
        for name, rows in sorted(added.items())
    }
    return _grown(base, added, shifts)


def _grown(base: Learned, added: Mapping[Label, np.ndarray], shifts: Mapping[Label, float]) -> Learned:
    names = sorted(added)
    means = np.stack([added[name].mean(axis=0) for name in names])
    whitened = whiten(means, base["whitener"])
    rows = {
        "means": means,
        "whitened_means": whitened,
        "directions": unit_rows(whiten(means, base["unit_whitener"])),
        "vertices": np.zeros_like(means),
        "shifts": np.array([shifts[name] for name in names]),
    }
    if base["vertices"].any():
        noise = np.array([_variance(base, added[name]) / len(added[name]) for name in names]) * means.shape[1]
        rows["vertices"] = _lengthened_vertices(whitened - base["whitened_center"], noise)
    if base["matched"]:
        rows["weight"], rows["bias"] = _head_rows(base, means)
    grown = base.with_rows({name: {key: rows[key][i] for key in rows} for i, name in enumerate(names)})
    return grown.with_arrays(span=_wider(base["span"], whitened))


def _wider(span: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of a span and further rows; the basis that was there stays as it is."""
    outside = rows - rows @ span.T @ span
    # Once more: the first time leaves rounding of the size of the rows.
    outside -= outside @ span.T @ span
    return np.concatenate([span, orthonormal_rows(outside, size=float(np.linalg.norm(rows)))])


def _lengthened_vertices(offsets: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return vertices lengthened by what the noise of a mean of few images takes from every cosine with it.

    Of a squared length ||u||^2 the noise makes up ||e||^2 on average, so cosines come out too small by the root of
    1 - ||e||^2 / ||u||^2; no more than half is given back.
    """
    squared = np.einsum("ij,ij->i", offsets, offsets)
    kept = np.divide(squared - noise, squared, out=np.ones(len(squared)), where=squared > 0)
    return unit_rows(offsets) / np.sqrt(np.maximum(kept, 0.5))[:, None]


def _head_rows(base: Learned, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights along the means, as NC3 has them, and biases that give each mean a known class's own logit."""
    rows, vertices = base["weight"] - base["weight"].mean(axis=0), base["means"] - base["center"]
    scale = float((rows * vertices).sum() / max((vertices**2).sum(), np.finfo(np.float64).tiny))
    weight = base["weight"].mean(axis=0) + scale * (means - base["center"])
    own = np.einsum("ij,ij->i", base["means"], base["weight"]) + base["bias"]
    return weight, own.mean() - np.einsum("ij,ij->i", means, weight)


def _variance(base: Learned, images: np.ndarray) -> float:
    """Return the variance of the images a whitened dimension, where a known class's is 1; never below that."""
    if len(images) == 1:
        return 1.0
    whitened = whiten(images - images.mean(axis=0), base["whitener"])
    return max(float((whitened**2).sum() / ((len(images) - 1) * whitened.shape[1])), 1.0)


def _unused_name(base: Learned) -> Label:
    last = base.classes[-1]
    return last + 1 if isinstance(last, int) else last + "'"


def _shift(base: Learned, images: np.ndarray) -> float:
    """Return how far below the known classes' median new images of an added class are expected to score, 0 or more.

    The images are left out in turn, and draws from the predictive N(m, (1 + 1/n) r S) steady what so few can tell. No
    class is raised by more than twice the way from a known class's median to the lowest of 1,000 scores: images that
    need it are no class, and unknown ones would pass with them.
    """
    mean, count, name = images.mean(axis=0), len(images), _unused_name(base)
    noise = np.random.default_rng(0).standard_normal((_DRAWS, len(mean)))
    deviation = np.sqrt(_variance(base, images) * (1 + 1 / count))
    drawn = mean + deviation * unwhiten(noise, base["whitener"])
    expected = [float(np.median(raw_score(_grown(base, {name: images}, {name: 0.0}), drawn)[0]))] * _PRIOR
    folds = np.array_split(np.arange(count), min(count, _FOLDS)) if count > 1 else []
    for fold in folds:
        rest = _grown(base, {name: np.delete(images, fold, axis=0)}, {name: 0.0})
        expected.extend(raw_score(rest, images[fold])[0])
    known = float(base["median_score"])
    return float(np.clip(known - np.median(expected), 0.0, 2 * (known - float(base["lowest_score"]))))
