"""`Estimate`: a mean over images or draws, with an interval that owns up to what the draws share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """A mean with its interval; two of the same images or draws can be compared pair by pair.

    Parameters
    ----------
    replicates : numpy.ndarray
        One value an image or a draw, shape (replicates,).
    overlap : float
        Images tested over images learned from, where the replicates are random splits of the same images: their mean's
        variance is then var (1 / replicates + overlap), Nadeau and Bengio (2003), eq. 6. 0 = they are independent.
    parts : mapping from name to float
        Means of what the value is made of.

    Examples
    --------
    >>> import numpy as np
    >>> Estimate(replicates=np.array([0.5, 0.7, 0.6])).value
    0.6
    """

    replicates: np.ndarray
    overlap: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The mean."""
        return float(self.replicates.mean())

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of Student's t that holds the mean with this probability; one replicate has none."""
        from scipy.stats import t

        count = len(self.replicates)
        if count < 2:
            return float("-inf"), float("inf")
        error = float(self.replicates.std(ddof=1)) * np.sqrt(1 / count + self.overlap)
        reach = float(t.ppf((1 + level) / 2, count - 1)) * error
        return float(self.value - reach), float(self.value + reach)

    def minus(self, other: Estimate) -> Estimate:
        """Return the paired difference: replicate by replicate, so that what both share cancels.

        Raises
        ------
        InputError
            If the other has another number of replicates.
        """
        if self.replicates.shape != other.replicates.shape:
            raise InputError(
                f"{len(self.replicates)} replicates can't be paired with {len(other.replicates)}; were both measured "
                "on the same images and draws?"
            )
        return Estimate(replicates=self.replicates - other.replicates, overlap=max(self.overlap, other.overlap))
