"""Two-covariance probabilistic discriminant analysis: class means and images are Gaussian, with one geometry for all.

Class means are N(m, S_b) and the images of a class N(its mean, S_w), so a class seen in few images is drawn towards
where class means lie, stays uncertain where they vary, and a class never seen has a likelihood too (Ioffe, ECCV 2006,
sections 2 to 4).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]


def within_eigen(within: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues, none below zero, and eigenvectors (columns) of a within-class covariance."""
    values, basis = np.linalg.eigh(within)
    return np.maximum(values, 0.0), basis


def two_covariance(
    values: np.ndarray,
    basis: np.ndarray | None,
    means: np.ndarray,
    counts: np.ndarray,
    within_shrinkage: float,
    between_shrinkage: float,
) -> dict[str, np.ndarray]:
    """Return the geometry in which S_w is the identity and S_b is diagonal.

    Parameters
    ----------
    values, basis : numpy.ndarray
        From `within_eigen`; no basis where means and images are given in its coordinates already.
    means : numpy.ndarray
        Class means, shape (classes, feature width).
    counts : numpy.ndarray
        Images a class, shape (classes,).
    within_shrinkage, between_shrinkage : float
        How far S_w, and S_b after whitening, are drawn towards a scaled identity, in 0..1.

    Returns
    -------
    dict of str to numpy.ndarray
        `center` m; `basis` and `scale`, the whitener's; `axes`, shape (rank of S_b, feature width), and `spread`, the
        variances of class means along them; `rest`, that in every other direction.
    """
    width = means.shape[1]
    center = means.mean(axis=0)
    apart = means - center if basis is None else (means - center) @ basis
    # Classes that have collapsed to points have no spread; any that is small beside their gaps serves then.
    floor = max(values.mean(), 1e-9 * np.mean(apart**2)) or 1.0
    # Collapsed features span few directions; without a floor the whitener would blow up rounding in all others.
    amount = max(within_shrinkage, 1e-6)
    scale = 1 / np.sqrt((1 - amount) * values + amount * floor)
    _, singular, axes = np.linalg.svd(apart * scale, full_matrices=False)
    rank = min(max(len(means) - 1, 1), width)
    # Means of few images scatter by themselves: that much of their spread is not the classes'.
    noise = np.mean(1 / counts) * np.mean(values * scale**2)
    spread = np.maximum(singular[:rank] ** 2 / max(len(means) - 1, 1) - noise, 0.0)
    mean_spread = spread.sum() / width or 1.0
    geometry = {
        "center": center,
        "scale": scale,
        "axes": axes[:rank],
        "spread": (1 - between_shrinkage) * spread + between_shrinkage * mean_spread,
        "rest": np.asarray(between_shrinkage * mean_spread),
    }
    return geometry if basis is None else geometry | {"basis": basis}


def whiten(geometry: Arrays, X: np.ndarray) -> np.ndarray:
    """Return features about the centre in whitened coordinates, shape (images, feature width).

    A geometry without a centre is one of features that are whitened already.
    """
    if "center" not in geometry:
        return X
    centered = X - geometry["center"]
    return (centered @ geometry["basis"] if "basis" in geometry else centered) * geometry["scale"]


def without_whitener(geometry: Arrays) -> Arrays:
    """Return the geometry of features that are whitened already."""
    return {key: value for key, value in geometry.items() if key not in ("center", "basis", "scale")}


def place_classes(geometry: Arrays, means: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return what `class_log_likelihoods` needs of classes seen in `counts` images with these means, a row each.

    The mean of a class is shrunk by n psi / (1 + n psi) in a direction where class means vary by psi, and its images
    are expected to vary by 1 + psi / (1 + n psi) (Ioffe 2006, section 3); n = 0 is the class never seen.
    """
    whitened = whiten(geometry, means)
    n = np.asarray(counts, dtype=np.float64)[:, None]
    along = whitened @ geometry["axes"].T
    spread, rest = geometry["spread"], float(geometry["rest"])
    variance = 1 + spread / (1 + n * spread)
    rest_variance = 1 + rest / (1 + n * rest)
    mean, rest_share = along * (n * spread / (1 + n * spread)), n * rest / (1 + n * rest)
    others = whitened.shape[1] - len(spread)
    # The axes are orthonormal, so that what lies off them need not be written out: they are large, and read once less.
    off_axes = np.maximum(np.vecdot(whitened, whitened) - np.vecdot(along, along), 0.0)
    constant = (mean**2 / variance).sum(axis=1) + off_axes * (rest_share**2 / rest_variance)[:, 0]
    constant += np.log(variance).sum(axis=1) + others * np.log(rest_variance[:, 0])
    pull = rest_share / rest_variance
    return {
        # All that is linear in the whitened image, in one row.
        "direction": (mean / variance - pull * along) @ geometry["axes"] + pull * whitened,
        "half_precision": 0.5 / variance - 0.5 / rest_variance,
        "half_rest_precision": 0.5 / rest_variance[:, 0],
        "constant": -constant / 2,
    }


def class_log_likelihoods(geometry: Arrays, placed: Arrays, X: np.ndarray) -> np.ndarray:
    """Return log p(image | class) without the constant all classes share, shape (images, classes).

    Higher = more alike.
    """
    whitened = whiten(geometry, X)
    along = whitened @ geometry["axes"].T
    length = np.vecdot(whitened, whitened)
    scores = whitened @ placed["direction"].T
    scores -= along**2 @ placed["half_precision"].T
    scores -= length[:, None] * placed["half_rest_precision"]
    scores += placed["constant"]
    return scores
