"""What ASH and SCALE share: how many activations count, and the factor that they give."""

from __future__ import annotations

import numpy as np

# exp(500) is far above any factor of ordinary features, and still leaves room for the logits that it multiplies.
_LARGEST_EXPONENT = 500.0


def kept_count(width: int, percentile: float) -> int:
    """Return how many of an image's activations lie above the percentile: D - round(D p / 100), at least one."""
    return max(width - round(width * percentile / 100), 1)


def sharpening(total: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return exp(sum of all activations / sum of the largest ones), shape (images,).

    An image whose largest activations do not sum to more than 0 has the factor 0, the limit as they fall to 0; a
    ratio above 500, as of equal activations of which one in more than 500 is kept, counts as 500.
    """
    positive = kept > 0
    ratio = np.divide(total, kept, out=np.full_like(total, -np.inf), where=positive)
    return np.exp(np.minimum(ratio, _LARGEST_EXPONENT))
