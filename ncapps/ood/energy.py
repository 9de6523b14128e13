"""`Energy`: the logits' soft maximum."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from ncapps.errors import InputError
from ncapps.ood.head_detector import HeadDetector
from ncapps.ood.learned import Learned


class Energy(HeadDetector):
    """Score T logsumexp(z / T) of the logits z (Liu et al., NeurIPS 2020, eq. 4, negated).

    Parameters
    ----------
    temperature : float
        T; 1 as in the paper.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> scores = Energy().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]]))
    >>> bool(scores[0] > scores[1])
    True
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        if not self.temperature > 0:
            raise InputError(f"the temperature must be above 0, but {self.temperature} came")
        return self.temperature * logsumexp(self._logits(learned, X) / self.temperature, axis=1)
