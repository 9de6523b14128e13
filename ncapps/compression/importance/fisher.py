"""Between-class against within-class signal of each channel by itself."""

from __future__ import annotations

import numpy as np

from ncapps.compression.elimination import Ranking, eliminate
from ncapps.compression.moments import WidthMoments
from ncapps.errors import InputError


def rank_by_fisher(moments: WidthMoments, rng: np.random.Generator) -> Ranking:
    """Rank channels by the Fisher ratio: variance of the class means over the variance within classes.

    Each channel's activity is averaged over positions first. The ratio looks at one channel at a time, so that it
    keeps several copies of one good channel; with repair it ranks below `wanda` and `obs`.

    Raises
    ------
    InputError
        If there are no labels, or only one class.
    """
    if moments.labels is None:
        raise InputError('importance "fisher" needs the labels of the calibration images; pass labels, or use "obs"')
    classes, codes = np.unique(moments.labels, return_inverse=True)
    if len(classes) < 2:
        only = classes.tolist()[0]
        raise InputError(f'importance "fisher" needs images of two classes or more, but all are of {only!r}')
    activity = moments.activity.astype(np.float64)
    means = np.stack([activity[codes == k].mean(axis=0) for k in range(len(classes))])
    between = (means[codes] - activity.mean(axis=0)).var(axis=0)
    within = (activity - means[codes]).var(axis=0)
    scores = between / np.maximum(within, 1e-12 * max(float(within.max()), 1e-300))
    return eliminate(moments, np.argsort(scores, kind="stable").tolist())
