"""Softmax and its logarithms over the rows of a matrix of logits.

scipy's functions of these names serve any array library and any axis, which takes them longer than scoring one image.
"""

from __future__ import annotations

import numpy as np


def logsumexp(logits: np.ndarray) -> np.ndarray:
    """Return log sum_c exp z_c of each row, shape (images,)."""
    top = logits.max(axis=1)
    powers = logits - top[:, None]
    return np.log(np.exp(powers, out=powers).sum(axis=1)) + top


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log softmax of each row, shape (images, classes): finite however far the logits lie apart."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of each row, shape (images, classes)."""
    powers = logits - logits.max(axis=1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
