"""`ETFDetector`: how far an image lies from the simplex that the classes collapsed to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ncapps.arrays import Label
from ncapps.errors import InputError
from ncapps.ood.etf_fit import SOURCES, learn_etf
from ncapps.ood.etf_growth import with_added
from ncapps.ood.etf_score import etf_score
from ncapps.ood.etf_terms import TERMS, etf_terms, nearest_vertex
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.ranges import check_range
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.ood.subcentroids import subcentroids
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics


class ETFDetector(StatisticsDetector):
    """Evidence of the classes, angle to their simplex and energy outside its span, as one p-value-like score.

    With class means mu_c, their centre m, the shrunk within-class covariance S, A = S^(-1/2), A' the same for unit
    features, and vertices v_c along A (mu_c - m), the score is sum_j w_j log F_j(t_j(x)) over the terms

        evidence    logsumexp(W x + b)                          angle    max_c cos(A (x - m), v_c)
        direction   max_c cos(A' x, A' mu_c)                    span     ||P A x|| / ||A x||, P onto span(A mu_c)
        neighbours  log sum_j exp(-30 ||x/||x|| - k_j||^2) over sub-centroids k_j

    where F_j is the logistic law that t_j follows on images drawn from N(mu_c, S): Fisher's sum of log p-values (1932),
    with weights 2, 1/2, 3/2, 1 and 3 min(NC1, 1), divided by their sum. Higher = more in-distribution; 0 is the best
    for fitted classes. No unknown and no held-out image is needed. The evidence is the energy score (Liu et al.,
    NeurIPS 2020, eq. 4), the span that of NECO (Ben Ammar et al., ICLR 2024) after whitening.

    Parameters
    ----------
    vertices : {"auto", "means", "head", "simplex"}
        Where the vertices come from: class means, the head's rows, or the nearest simplex (Procrustes); "auto" takes
        what is best aligned with the images.
    subcentroids : int
        Centres a class for the neighbours' term, which `fit` alone learns, since statistics do not hold them; 0 = none.
        `partial_fit` and `merge` drop them.
    seed : int
        For the images drawn and for the sub-centroids.

    Examples
    --------
    >>> import numpy as np
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal((30, 4))
    >>> X, y = np.eye(4)[:3].repeat(10, axis=0) + noise, ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    >>> scores = ETFDetector().fit(X, y).score_samples(np.array([[1.0, 0, 0, 0], [0.3, 0.3, 0.4, 0.6]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    per_class = ("means", "whitened_means", "directions", "vertices", "shifts")

    def __init__(self, vertices: str = "auto", subcentroids: int = 16, seed: int = 0) -> None:
        self.vertices = vertices
        self.subcentroids = subcentroids
        self.seed = seed

    @property
    def vertices_(self) -> np.ndarray:
        """Vertices in whitened space, shape (classes, feature width); all zero where there is no simplex."""
        return self._learned()["vertices"]

    def terms(self, X: Any) -> dict[str, np.ndarray]:
        """Return the terms behind the score by name, each of shape (images,): why an image was refused."""
        values = etf_terms(self._learned(), self._check(X))[0]
        return dict(zip(TERMS, values.T, strict=True))

    def _learn_from_images(
        self, X: np.ndarray, y: np.ndarray, statistics: ClassStatistics, head: LinearHead | None
    ) -> Learned:
        check_range("subcentroids", self.subcentroids, 0, np.inf, closed="low", whole=True, hint="centres a class")
        if not self.subcentroids:
            return self._learn(statistics, head)
        codes = np.unique(y, return_inverse=True)[1]
        centres = subcentroids(unit_rows(X), codes, int(self.subcentroids), int(self.seed))
        return self._learn(statistics, head, centres)

    def _learn(
        self, statistics: ClassStatistics, head: LinearHead | None, centres: np.ndarray | None = None
    ) -> Learned:
        check_range("seed", self.seed, 0, np.inf, closed="low", whole=True)
        if self.vertices not in SOURCES:
            raise InputError(f"vertices {self.vertices!r} is not known; choose one of {', '.join(SOURCES)}")
        if centres is None:
            centres = np.zeros((0, statistics.width))
        return learn_etf(statistics, head, self.vertices, centres, int(self.seed))

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return etf_score(learned, X)

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return nearest_vertex(learned, X)

    def _with_classes(self, base: Learned, added: Mapping[Label, np.ndarray]) -> Learned:
        return with_added(base, added)

    def _without(self, base: Learned, name: Label) -> Learned:
        head = ("weight", "bias") if base["matched"] else ()
        return base.without(name, (*self.per_class, *head))
