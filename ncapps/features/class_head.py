"""A backbone's head for the classes at hand, its rows in the order of their sorted names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ncapps.arrays import Label


class ClassHead:
    """The rows of an affine head in the order of sorted class names; `head(features)` gives logits.

    Parameters
    ----------
    weight : numpy.ndarray
        float64, shape (classes, feature width).
    bias : numpy.ndarray or None
        float64, shape (classes,).

    Examples
    --------
    >>> import numpy as np
    >>> ClassHead(np.eye(2), np.array([0.0, 1.0]))(np.array([[3.0, 1.0]])).tolist()
    [[3.0, 2.0]]
    """

    def __init__(self, weight: Any, bias: Any = None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, features: Any) -> Any:
        """Return logits, shape (images, classes)."""
        logits = features @ self.weight.T
        return logits if self.bias is None else logits + self.bias


def head_of_classes(head: Any, head_classes: Sequence[str] | None, classes: Sequence[Label]) -> Any:
    """Return the head with its rows in the order of the images' sorted class names; None where it has other classes.

    Parameters
    ----------
    head : object with `weight` and `bias`, or None
        A backbone's head.
    head_classes : sequence of str or None
        The names of its rows. A head without names fits if it has as many rows as there are classes; so does any head
        where the classes are the numbers 0 to rows - 1.
    classes : sequence of str or of int
        The images' class names, sorted.
    """
    if head is None or head.weight is None:
        return None
    rows = len(head.weight)
    if head_classes is None or tuple(classes) == tuple(range(rows)):
        return head if rows == len(classes) else None
    if set(head_classes) != set(classes):
        return None
    order = [list(head_classes).index(str(name)) for name in classes]
    return ClassHead(head.weight[order], None if head.bias is None else head.bias[order])
