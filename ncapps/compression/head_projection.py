"""The exact K - 1 dimensional form of a linear head, and the length of what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ncapps.arrays import as_features, check_finite, like, to_numpy
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectedFeatures:
    """Features as the head sees them.

    Attributes
    ----------
    values : array
        Coordinates in the head's own space, float64, shape (images, K - 1 or fewer).
    residual : array
        Squared length of the part that the head is blind to, float64, shape (images,). No softmax depends on it, but
        images of no class differ there most, so detectors of the unknown (ViM, NECO and their kin) need it.
    """

    values: Any
    residual: Any


@dataclass(frozen=True, kw_only=True)
class Savings:
    """What the short form of a head saves: numbers, before and after.

    Attributes
    ----------
    stored_before, stored_after : int
        Numbers kept for an image: its features; its coordinates and the residual.
    parameters_before, parameters_after : int
        Of the head that reads them. The basis that makes the coordinates (feature width times rank) comes on top once,
        beside the network.
    basis : int
        Numbers in that basis.
    macs_before, macs_after : int
        Multiply-accumulates from features to logits, the projection included: more than before, unless the classes are
        many. Nothing is saved in the network itself.
    """

    stored_before: int
    stored_after: int
    parameters_before: int
    parameters_after: int
    basis: int
    macs_before: int
    macs_after: int


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadProjection:
    """A linear head in the coordinates that its softmax depends on.

    Attributes
    ----------
    basis : ndarray
        Orthonormal columns that span the centred rows of the head, shape (feature width, rank); rank <= K - 1.
    weight, bias : ndarray
        The head in these coordinates, shapes (K, rank) and (K,).
    """

    basis: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def project(self, features: Any) -> ProjectedFeatures:
        """Return the coordinates of features (images, feature width), and the squared length of the rest.

        Raises
        ------
        InputError
            If the features have another width or are not finite.
        """
        values = as_features(features, len(self.basis), "the head")
        short = values @ self.basis
        rest = values - short @ self.basis.T
        return ProjectedFeatures(values=like(short, features), residual=like(np.vecdot(rest, rest), features))

    def logits(self, projected: Any) -> Any:
        """Return logits (images, K) from coordinates (images, rank): the head's, up to one shift an image.

        Softmax and the largest logit are the head's own; energies and largest values are not.
        """
        short = projected.values if isinstance(projected, ProjectedFeatures) else projected
        return like(as_features(short, self.weight.shape[1], "the projected head") @ self.weight.T + self.bias, short)

    @property
    def savings(self) -> Savings:
        """What this form saves."""
        (width, rank), classes = self.basis.shape, len(self.bias)
        return Savings(
            stored_before=width,
            stored_after=rank + 1,
            parameters_before=classes * (width + 1),
            parameters_after=classes * (rank + 1),
            basis=width * rank,
            macs_before=classes * width,
            macs_after=rank * (width + classes),
        )


def project_head(head: Any) -> HeadProjection:
    """Return a linear head in K - 1 dimensions or fewer, with the same softmax for every input.

    Softmax does not change when all logits shift by the same amount, so the mean row of W can go: the centred W has the
    rank min(feature width, K - 1) at most, and only the coordinates along its right singular vectors matter. Collapse
    is not assumed; where the rows span the class means (NC3), the nearest mean is the same in these coordinates too.
    Classes that are added later lie outside of them: keep the full features for those.

    Parameters
    ----------
    head : object
        Anything with a weight (K, feature width) and a bias (K,) or None: `extractor.head`, a linear layer.

    Raises
    ------
    InputError
        If the head is not affine, not finite, or has fewer than two classes.

    Examples
    --------
    >>> import numpy as np, torch
    >>> head = torch.nn.Linear(512, 10)
    >>> projection = project_head(head)
    >>> projection.basis.shape, projection.savings.stored_before / projection.savings.stored_after
    ((512, 9), 51.2)
    """
    weight, bias = _affine(head)
    centred = weight - weight.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    # What is left of K rows after centring has at most K - 1 directions; the last one is rounding.
    rounding = np.linalg.norm(weight) * max(weight.shape) * np.finfo(np.float64).eps
    rank = max(1, min(int((sizes > rounding).sum()), len(weight) - 1))
    return HeadProjection(basis=right[:rank].T, weight=left[:, :rank] * sizes[:rank], bias=bias)


def _affine(head: Any) -> tuple[np.ndarray, np.ndarray]:
    if getattr(head, "weight", None) is None:
        raise InputError(
            f"a head with a weight (classes, feature width) is needed, but a {type(head).__name__} without one came; "
            "only an affine head has a K - 1 dimensional form"
        )
    weight = np.asarray(to_numpy(head.weight), dtype=np.float64)
    if weight.ndim != 2 or len(weight) < 2:
        raise InputError(f"a head's weight is (2 classes or more, feature width), but the shape {weight.shape} came")
    bias = getattr(head, "bias", None)
    bias = np.zeros(len(weight)) if bias is None else np.asarray(to_numpy(bias), dtype=np.float64)
    if bias.shape != (len(weight),):
        raise InputError(f"the head has {len(weight)} rows, but its bias has the shape {bias.shape}")
    check_finite(weight)
    check_finite(bias[:, None])
    return weight, bias
