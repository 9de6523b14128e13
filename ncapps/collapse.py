"""`measure_collapse`: how collapsed are the features? NC1 to NC4 and their newer relatives, each convention named."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ncapps import collapse_measures as measures
from ncapps.arrays import as_features, as_labels, to_numpy
from ncapps.errors import InputError
from ncapps.prototypes import squared_distances
from ncapps.statistics import ClassStatistics


@dataclass(frozen=True, kw_only=True)
class CollapseReport:
    """The collapse measures of one set of features; for all but `nc4_agreement` 0 (or lower) = more collapsed.

    S_w = within-class covariance (divided by the number of images), M = class means minus their mean, S_b = MT M / K
    (the classes weigh the same), W = the head's rows. What needs a head, or images, is None without.
    """

    n_images: int
    n_classes: int
    width: int
    nc1: float
    """trace(S_w pinv(S_b)) / K: Papyan et al. (2020) divided by K, as Zhu et al. (2021) do."""
    nc1_undivided: float
    """trace(S_w pinv(S_b)): the form of Papyan's notebook."""
    nc1_quotient: float
    """trace(S_w) / trace(S_b): Tirer and Bruna (2022)."""
    within_variance: float
    """trace(S_w): mean squared distance to the own class mean, in squared feature units."""
    cdnv: float
    """Class-distance normalised variance, mean over pairs of (v_i + v_j) / (2 ||m_i - m_j||^2): Galanti et al. 2022."""
    nc2_equinorm: float
    """Standard deviation over mean of the lengths of M's rows (population form, divided by K)."""
    nc2_equiangularity: float
    """Mean over pairs of |cos + 1 / (K - 1)| between M's rows: Papyan's maximal-angle form."""
    nc2_cosine_spread: float
    """Standard deviation over pairs of the cosines: equal angles, whatever the angle."""
    etf_error: float
    """|| G / ||G|| - C / sqrt(K - 1) || with G = M MT: the NC2 of Zhu et al. (2021), who take it of W WT."""
    etf_distance: float | None
    """Relative distance of M from its nearest simplex: `SimplexETF.fit`; None beyond width + 1 classes."""
    uniformity_log: float
    """Mean over pairs of log(1 / distance) between unit rows of M: Liu et al. (2023), the log kernel."""
    uniformity_log_variance: float
    uniformity_riesz: float
    """Mean over pairs of 1 / distance: the Riesz kernel with s = 1."""
    uniformity_riesz_variance: float
    nc3: float | None
    """|| W / ||W|| - M / ||M|| ||^2: Papyan et al. (2020)."""
    nc3_product: float | None
    """|| W MT / ||W MT|| - C / sqrt(K - 1) ||: the NC3 of Zhu et al. (2021)."""
    nc3_cosine: float | None
    """1 - mean cosine between w_c and M's row c: Jiang et al. (2024)."""
    nc3_uniformity: float | None
    """Variance over classes of w_c . M_c: uniform duality, Wu and Papyan (2024)."""
    nc4_agreement: float | None
    """Share of images for which argmax(W x + b), bias counted, is the class with the nearest mean (higher = more)."""
    nc4_feature_norm_spread: float | None
    """Standard deviation over mean of ||x - centre|| over images: the other reading of NC4."""
    nc4_weight_norm_spread: float | None
    """Standard deviation over mean of the lengths of W's rows, centred over the classes."""

    def as_dict(self) -> dict[str, Any]:
        """Return the measures by name, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        shown = [(item.name, getattr(self, item.name)) for item in fields(self)]
        return "\n".join(f"{name:<26}{value:.6g}" for name, value in shown if value is not None)


def measure_collapse(
    features: Any, labels: Any, head: Any = None, *, statistics: ClassStatistics | None = None
) -> CollapseReport:
    """Measure neural collapse on features, shape (images, feature width), with one label an image.

    Parameters
    ----------
    head : object with `weight` (classes, feature width) and `bias` (classes,), optional
        The classifier, its rows in the sorted order of the class names; for NC3 and NC4.
    statistics : ClassStatistics, optional
        The statistics of just these features, where they are known already.

    Returns
    -------
    CollapseReport

    Raises
    ------
    InputError
        If there are fewer than two classes, or the head does not fit the features or the classes.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), [0] * 4 + [1] * 4 + [2] * 4
    >>> report = measure_collapse(X, y)
    >>> report.nc1, round(report.nc2_equiangularity, 6)
    (0.0, 0.0)
    """
    stats = ClassStatistics.from_features(features, labels) if statistics is None else statistics
    features = as_features(features, stats.width, "the statistics object", keep_float32=True)
    as_labels(labels, len(features))
    if len(features) != stats.total:
        raise InputError(
            f"statistics of {stats.total} images came with {len(features)} images; are they of just these features?"
        )
    weight, bias = head_arrays(head, stats)
    return _report(stats, weight, **_image_measures(features, stats, weight, bias))


def measure_collapse_from_statistics(stats: ClassStatistics, head: Any = None) -> CollapseReport:
    """Measure all that needs no single image (everything but NC4) from statistics alone."""
    return _report(stats, head_arrays(head, stats)[0])


def head_arrays(head: Any, stats: ClassStatistics) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the head's weight and bias in float64, checked against the statistics; (None, zeros) without a head."""
    weight = getattr(head, "weight", None)
    if weight is None:
        return None, np.zeros(len(stats.classes))
    weight = to_numpy(weight).astype(np.float64)
    expected = (len(stats.classes), stats.width)
    if weight.shape != expected:
        raise InputError(
            f"the head's weight has the shape {weight.shape}, but the features have {expected[0]} classes and "
            f"{expected[1]} columns; do the labels hold just the classes the head was trained on?"
        )
    bias = getattr(head, "bias", None)
    bias = np.zeros(len(weight)) if bias is None else to_numpy(bias).astype(np.float64)
    if bias.shape != (len(weight),):
        raise InputError(f"the head has {len(weight)} rows, but a bias of shape {bias.shape}; one number a row is due")
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise InputError("the head holds NaN or infinity; did its training diverge?")
    return weight, bias


def _image_measures(
    features: np.ndarray, stats: ClassStatistics, weight: np.ndarray | None, bias: np.ndarray, chunk: int = 8192
) -> dict[str, float | None]:
    """Return what needs the images themselves, chunk by chunk: agreement of the decisions, spread of the norms."""
    agreed, norms = 0, np.zeros(len(features))
    for start in range(0, len(features), chunk):
        rows = features[start : start + chunk].astype(np.float64)
        norms[start : start + chunk] = np.linalg.norm(rows - stats.center, axis=1)
        if weight is not None:
            agreed += int(np.sum((rows @ weight.T + bias).argmax(1) == squared_distances(rows, stats.means).argmin(1)))
    return {
        "nc4_agreement": None if weight is None else agreed / max(len(features), 1),
        "nc4_feature_norm_spread": measures.spread(norms),
    }


def _report(stats: ClassStatistics, weight: np.ndarray | None, **from_images: Any) -> CollapseReport:
    if len(stats.classes) < 2:
        raise InputError(
            f"collapse is measured between classes: two or more are needed, but {len(stats.classes)} came; "
            "does the folder hold one sub-folder a class?"
        )
    centered = stats.means - stats.center
    cosines = measures.pair_cosines(centered)
    nc1 = measures.nc1_undivided(stats.within_covariance, centered)
    log_mean, log_variance, riesz_mean, riesz_variance = measures.uniformity(cosines)
    head = {} if weight is None else measures.head_measures(weight, centered)
    n_classes = len(stats.classes)
    return CollapseReport(
        n_images=stats.total,
        n_classes=n_classes,
        width=stats.width,
        nc1=nc1 / n_classes,
        nc1_undivided=nc1,
        nc1_quotient=measures.ratio(float(stats.squares.sum()) / stats.total, float((centered**2).sum()) / n_classes),
        within_variance=float(stats.squares.sum()) / stats.total,
        cdnv=measures.cdnv(stats.squares / stats.counts, stats.means),
        nc2_equinorm=measures.spread(np.linalg.norm(centered, axis=1)),
        nc2_equiangularity=float(np.abs(cosines + 1 / (n_classes - 1)).mean()),
        nc2_cosine_spread=float(cosines.std()),
        etf_error=measures.etf_error(centered @ centered.T),
        etf_distance=measures.etf_distance(stats.means),
        uniformity_log=log_mean,
        uniformity_log_variance=log_variance,
        uniformity_riesz=riesz_mean,
        uniformity_riesz_variance=riesz_variance,
        **{name: head.get(name) for name in measures.HEAD_MEASURES},
        **{"nc4_agreement": None, "nc4_feature_norm_spread": None, **from_images},
    )
