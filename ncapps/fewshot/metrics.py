"""The metrics a `PrototypeClassifier` can score with: a new one is one file and one line here."""

from __future__ import annotations

from ncapps.errors import InputError
from ncapps.fewshot.cl2n import Cl2n
from ncapps.fewshot.cosine import Cosine
from ncapps.fewshot.euclidean import Euclidean
from ncapps.fewshot.mahalanobis import Mahalanobis
from ncapps.fewshot.metric import Metric
from ncapps.fewshot.plda import Plda
from ncapps.fewshot.ridge import ProjectedRidge, Ridge
from ncapps.fewshot.teen import Teen

METRICS: dict[str, type[Metric]] = {
    "plda": Plda,
    "mahalanobis": Mahalanobis,
    "euclidean": Euclidean,
    "cosine": Cosine,
    "cl2n": Cl2n,
    "teen": Teen,
    "ridge": Ridge,
    "ranpac": ProjectedRidge,
}


def metric_named(name: str) -> Metric:
    """Return the metric of this name; raises InputError where there is none."""
    if not isinstance(name, str) or name not in METRICS:
        raise InputError(f"metric {name!r} is not known; choose one of {', '.join(METRICS)}")
    return METRICS[name]()
