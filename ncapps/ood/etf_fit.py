"""What an `ETFDetector` keeps of statistics and head: whiteners, vertices, and the laws of its terms."""

from __future__ import annotations

import numpy as np

from ncapps.collapse_measures import nc1_undivided
from ncapps.covariance import oas_amount, shrink
from ncapps.errors import InputError
from ncapps.ood.etf_score import raw_score
from ncapps.ood.etf_terms import TERMS, WEIGHTS, etf_terms
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.logistic_law import fit_law
from ncapps.ood.triangular import factor_product, triangular_whitener, unwhiten, whiten
from ncapps.ood.unit_covariance import unit_covariance
from ncapps.prototypes import unit_rows
from ncapps.simplex import SimplexETF
from ncapps.statistics import ClassStatistics

SOURCES = ("auto", "means", "head", "simplex")
# Within-class noise, against the classes' spread, below which images are told from their mean by rounding alone.
_FLOOR = 1e-5
_DRAWS = 2000


def learn_etf(
    statistics: ClassStatistics, head: LinearHead | None, source: str, centres: np.ndarray, seed: int
) -> Learned:
    """Return what `etf_terms` needs, with the laws that the terms follow on images of known classes.

    Parameters
    ----------
    source : str
        One of `SOURCES`: where the vertices come from.
    centres : numpy.ndarray
        Sub-centroids of unit features, shape (centres, feature width); none where statistics alone are known.
    """
    means, center = statistics.means, statistics.center
    spread = float(((means - center) ** 2).sum(axis=1).mean())
    covariance = _regular(statistics, spread)
    whitener = triangular_whitener(covariance)
    whitened, whitened_center = whiten(means, whitener), whiten(center[None], whitener)[0]
    shares = statistics.counts / statistics.total
    unit = unit_covariance(means, covariance, shares)
    unit = shrink(unit, oas_amount(unit, statistics.total))
    # Unit features are of the size 1: variance below that of float32's rounding is none.
    floor = max(float(np.trace(unit)) * _FLOOR**2, float(np.finfo(np.float32).eps) ** 2) / len(unit)
    unit_whitener = triangular_whitener(unit + np.eye(len(unit)) * floor)
    head = None if head is None else head.in_order_of(means)
    read = head or LinearHead.from_means(statistics)
    arrays = {
        "means": means,
        "center": center,
        "whitener": whitener,
        "whitened_means": whitened,
        "whitened_center": whitened_center,
        "unit_whitener": unit_whitener,
        "directions": unit_rows(whiten(means, unit_whitener)),
        "span": orthonormal_rows(whitened),
        "weight": read.weight,
        "bias": read.bias,
        # Whether the head's rows are those of the classes, so that a class added can have one.
        "matched": np.asarray(read.names_each(means)),
        "centres": centres,
        "centre_squares": np.vecdot(centres, centres),
    }
    draws = np.random.default_rng(seed)
    codes = np.searchsorted(np.cumsum(shares), (np.arange(_DRAWS) + 0.5) / _DRAWS).clip(max=len(means) - 1)
    images = means[codes] + unwhiten(draws.standard_normal((_DRAWS, means.shape[1])), whitener)
    arrays["vertices"] = _vertices(arrays, head, source, images, codes)
    learned = Learned(arrays=arrays, classes=statistics.classes)
    medians, spreads = fit_law(etf_terms(learned, images)[0])
    learned = learned.with_arrays(
        weights=_weights(statistics, spreads > 0),
        medians=medians,
        spreads=np.where(spreads > 0, spreads, 1.0),
        shifts=np.zeros(len(means)),
    )
    scores = raw_score(learned, images)[0]
    return learned.with_arrays(median_score=np.median(scores), lowest_score=np.quantile(scores, 0.001))


def orthonormal_rows(matrix: np.ndarray, size: float = 0.0) -> np.ndarray:
    """Return an orthonormal basis of the rows' span, shape (rank, width); rows of rounding against `size` count not."""
    _, singular, right = np.linalg.svd(matrix, full_matrices=False)
    size = max(size, float(singular[0]), np.finfo(np.float64).tiny)
    return right[singular > max(matrix.shape) * np.finfo(np.float64).eps * size]


def _regular(statistics: ClassStatistics, spread: float) -> np.ndarray:
    """Return the shrunk within-class covariance with a floor, so that exact collapse can be whitened too."""
    # Divided by n - K: of few images a class the means take up much of the scatter.
    free = max(statistics.total - len(statistics.classes), 1)
    covariance = statistics.within / free
    covariance = shrink(covariance, oas_amount(covariance, free))
    width = len(covariance)
    # Constant features have neither spread nor noise: their own length is the unit then.
    unit = spread + np.trace(covariance) or float((statistics.means**2).sum(axis=1).mean()) or 1.0
    return covariance + np.eye(width) * (unit * _FLOOR**2 / width)


def _vertices(
    arrays: dict[str, np.ndarray],
    head: LinearHead | None,
    source: str,
    images: np.ndarray,
    codes: np.ndarray,
) -> np.ndarray:
    """Return unit vertices in whitened space, of the source asked for or of the best aligned with the images."""
    possible = {"means": arrays["whitened_means"] - arrays["whitened_center"]}
    count, width = possible["means"].shape
    extent = np.linalg.norm(possible["means"], axis=1).max()
    if extent <= 1e3 * np.finfo(np.float64).eps * np.linalg.norm(arrays["whitened_means"], axis=1).max():
        return np.zeros((count, width))
    if head is not None and arrays["matched"]:
        possible["head"] = factor_product(head.weight - head.weight.mean(axis=0), arrays["whitener"])
    if 2 <= count <= width + 1:
        possible["simplex"] = SimplexETF.fit(arrays["whitened_means"]).vertices
    if source != "auto":
        if source not in possible:
            needs = (
                "a head with one row a class that names each mean"
                if source == "head"
                else f"{width + 1} classes at most"
            )
            raise InputError(f"vertices={source!r} needs {needs}, but {count} classes came; take 'auto' or 'means'")
        return unit_rows(possible[source])
    directions = unit_rows(whiten(images, arrays["whitener"]) - arrays["whitened_center"])
    return max(
        (unit_rows(vertices) for vertices in possible.values()),
        key=lambda vertices: _alignment(directions @ vertices.T, codes),
    )


def _alignment(cosines: np.ndarray, codes: np.ndarray) -> float:
    """Return how much nearer the images are to their own vertex than to the nearest other, on average."""
    rows = np.arange(len(codes))
    own = cosines[rows, codes]
    others = cosines.copy()
    others[rows, codes] = -np.inf
    return float((own - others.max(axis=1)).mean())


def _weights(statistics: ClassStatistics, varies: np.ndarray) -> np.ndarray:
    """Return the terms' weights, sum 1; a constant one has none, neighbours count as far as NC1 is not reached."""
    centered = statistics.means - statistics.center
    nc1 = nc1_undivided(statistics.within_covariance, centered) / len(centered)
    gate = min(nc1, 1.0) if np.isfinite(nc1) else 1.0
    gated = {**WEIGHTS, "neighbours": WEIGHTS["neighbours"] * gate}
    weights = np.array([gated[term] for term in TERMS]) * varies
    return weights / (weights.sum() or 1.0)
