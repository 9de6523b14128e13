"""The scores that backbones are ranked by: a new one is its file and one line in `SCORES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ncapps.transfer.collapse_scores import cdnv, nc1
from ncapps.transfer.estimate import Estimate
from ncapps.transfer.h_score import h_score
from ncapps.transfer.held_out_classes import held_out_classes
from ncapps.transfer.knn_accuracy import knn_right
from ncapps.transfer.leave_one_out import loo_accuracy, loo_nll
from ncapps.transfer.logme import logme
from ncapps.transfer.ncti import ncti, ncti_terms
from ncapps.transfer.sample import TransferSample


@dataclass(frozen=True)
class Score:
    """How a backbone's features are scored.

    Parameters
    ----------
    title : str
        The column's name for people.
    measure : callable
        A sample to a number, to an `Estimate` with its interval, or to whatever `compare` takes.
    higher : bool
        Whether higher is better.
    share : bool
        Whether it is an accuracy in 0..1, told in percent.
    compare : callable, optional
        What was measured of all candidates to one number each, for a score that is relative to them.
    """

    title: str
    measure: Callable[[TransferSample], Any]
    higher: bool = True
    share: bool = False
    compare: Callable[[Sequence[Any]], list[float]] | None = None

    def estimates(self, measured: Sequence[Any]) -> list[Estimate]:
        """Return each candidate's score from what was measured of all of them."""
        values = measured if self.compare is None else self.compare(measured)
        return [
            one if isinstance(one, Estimate) else Estimate(replicates=np.asarray([one], dtype=np.float64))
            for one in values
        ]


def knn(sample: TransferSample) -> Estimate:
    """Return the share of images that their nearest neighbours name right."""
    right = knn_right(sample.features, sample.codes, sample.settings.neighbors)
    return Estimate(replicates=right.astype(np.float64))


SCORES: dict[str, Score] = {
    "held_out_classes": Score("held-out classes", held_out_classes, share=True),
    "loo_accuracy": Score("leave-one-out", loo_accuracy, share=True),
    "loo_nll": Score("LOO loss", loo_nll, higher=False),
    "knn": Score("kNN", knn, share=True),
    "logme": Score("LogME", lambda sample: logme(sample.features, sample.codes)),
    "h_score": Score("H-score", lambda sample: h_score(sample.features, sample.codes)),
    "ncti": Score("NCTI", lambda sample: ncti_terms(sample.features, sample.codes), compare=ncti),
    "nc1": Score("NC1", nc1, higher=False),
    "cdnv": Score("CDNV", cdnv, higher=False),
}
