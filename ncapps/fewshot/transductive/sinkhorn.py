"""Sinkhorn assignment: a batch shared out over the classes in given or estimated proportions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ncapps.errors import InputError
from ncapps.fewshot.transductive.batches import check_batch, check_positive

_TOLERANCE = 1e-7
# While prototypes still move the columns' factors are carried on, so that few steps do; the last round has more.
_STEPS, _LAST_STEPS = 10, 1000
# exp(-300) leaves room for products with its inverse in float64.
_LOWEST = -300.0


def sinkhorn(
    queries: np.ndarray,
    prototypes: np.ndarray,
    counts: np.ndarray,
    *,
    marginals: str | np.ndarray = "estimated",
    pseudo_images: float = 10.0,
    scale: float = 10.0,
    rounds: int = 20,
    rate: float = 0.2,
) -> np.ndarray:
    """Return assignment probabilities with given class shares, the prototypes drawn to what they are given.

    That is PT-MAP (Hu et al. 2021, algorithm 1) with "uniform" shares, which takes every class to be equally frequent
    in the batch and loses where they are not. "estimated" finds the shares by expectation maximisation (Saerens et al.
    2002) under a Dirichlet prior.

    Parameters
    ----------
    queries : numpy.ndarray
        The batch's features, shape (..., images, width); of unit length, as in "cl2n", for the default scale.
    prototypes : numpy.ndarray
        Means of such features, shape (..., classes, width).
    counts : numpy.ndarray
        Images behind each prototype, shape (..., classes) or (classes,): a prototype of many is hardly drawn.
    marginals : "uniform", "estimated" or numpy.ndarray
        The batch's share of each class, shape (classes,), adding up to 1.
    pseudo_images : float
        For "estimated": images of each class that are taken to be in the batch beside it; 0 = maximum likelihood, and
        large = uniform. The default was chosen on base classes, balanced batches and unbalanced ones alike.
    scale : float
        Multiplies squared distances; above 0.
    rounds : int
        Times that the prototypes are drawn; 0 leaves them.
    rate : float
        How far they are drawn each time, 0..1.

    Returns
    -------
    numpy.ndarray
        Shape (..., images, classes); each image's probabilities add up to 1, and their mean over the batch is the
        marginals, to 1e-3 or better: where classes stand far apart, Sinkhorn's steps stop a little short of it.

    Raises
    ------
    InputError
        If the shapes don't fit, or an option is out of its range.

    Examples
    --------
    >>> batch = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.1, 0.9]])
    >>> sinkhorn(batch, np.eye(2), np.array([1, 1]), marginals="uniform").mean(axis=0).round(6).tolist()
    [0.5, 0.5]
    """
    check_batch(queries, prototypes, counts)
    check_positive(scale=scale)
    if rounds < 0 or not 0 <= rate <= 1 or pseudo_images < 0:
        raise InputError(
            f"rounds and pseudo_images must be 0 or more and rate in 0..1, but {rounds}, {pseudo_images}, {rate} came"
        )
    shares = _first_shares(marginals, prototypes)
    if not queries.shape[-2]:
        return np.zeros((*queries.shape[:-1], prototypes.shape[-2]))
    weights = np.broadcast_to(counts, prototypes.shape[:-1])[..., None, :]
    # Inner products alone are followed as the prototypes move. Not distances: a prototype of few images lies farther
    # from all images alike, and the shares would drift to the classes that have been given many. They are taken about
    # the prototypes' mean, so that where the space has its origin makes no difference.
    origin = prototypes.mean(axis=-2, keepdims=True)
    queries, prototypes = queries - origin, prototypes - origin
    first = likeness = queries @ prototypes.swapaxes(-1, -2)
    among = _products_among(queries)
    factors = np.ones(first.shape[:-2] + first.shape[-1:])
    for turn in range(rounds + 1):
        kernel = _kernel(2 * scale * likeness)
        if isinstance(marginals, str) and marginals == "estimated":
            shares = estimate_shares(kernel, shares, pseudo_images)
        assigned, factors = transport(kernel, shares, factors, _STEPS if turn < rounds else _LAST_STEPS)
        if turn < rounds:
            mean = (weights * first + among(assigned)) / (weights + assigned.sum(axis=-2, keepdims=True))
            likeness = likeness + rate * (mean - likeness)
    return assigned


def _products_among(queries: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what multiplies by the images' inner products with one another, without the matrix where it is large."""
    images, width = queries.shape[-2:]
    turned = queries.swapaxes(-1, -2)
    if images > width:
        return lambda assigned: queries @ (turned @ assigned)
    products = queries @ turned
    return lambda assigned: products @ assigned


def estimate_shares(kernel: np.ndarray, shares: np.ndarray, pseudo_images: float, steps: int = 20) -> np.ndarray:
    """Return the class shares that explain a batch better than the first guess, shape (..., classes).

    The kernel, shape (..., images, classes), holds densities up to a factor of the image: Saerens et al. 2002, eq. 2.9,
    with `pseudo_images` added to each class's expected number.
    """
    images, classes = kernel.shape[-2:]
    for _ in range(steps):
        expected = shares * np.vecmat(1 / np.matvec(kernel, shares), kernel)
        shares = (expected + pseudo_images) / (images + classes * pseudo_images)
    return shares


def transport(
    kernel: np.ndarray, shares: np.ndarray, factors: np.ndarray | float = 1.0, steps: int = _LAST_STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel scaled so that rows add up to 1 and columns to images x shares, and the columns' factors.

    Sinkhorn and Knopp's steps, for a kernel of shape (..., images, classes) and shares of shape (..., classes), from
    first factors on.
    """
    wanted = kernel.shape[-2] * shares
    columns = np.where(wanted > 0, factors, 0.0)
    for _ in range(steps):
        reached = columns * np.vecmat(1 / np.matvec(kernel, columns), kernel)
        settled = np.abs(reached - wanted).max(axis=-1, keepdims=True) < _TOLERANCE * kernel.shape[-2]
        if settled.all():
            break
        # A batch that has settled waits for the others unchanged, so that its answer does not depend on them.
        columns = np.where(settled, columns, columns * wanted / np.where(reached > 0, reached, 1.0))
    assigned = kernel * columns[..., None, :]
    return assigned / assigned.sum(axis=-1, keepdims=True), columns


def _kernel(scores: np.ndarray) -> np.ndarray:
    """Return exp(scores), each row relative to its largest."""
    return np.exp(np.maximum(scores - scores.max(axis=-1, keepdims=True), _LOWEST))


def _first_shares(marginals: str | np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    classes = prototypes.shape[-2]
    if isinstance(marginals, str):
        if marginals not in ("uniform", "estimated"):
            raise InputError(f"marginals must be 'uniform', 'estimated' or an array of shares, but {marginals!r} came")
        return np.full(prototypes.shape[:-1], 1 / classes)
    given = np.asarray(marginals, dtype=np.float64)
    if given.shape[-1:] != (classes,) or not (given >= 0).all() or not np.allclose(given.sum(axis=-1), 1, atol=1e-6):
        raise InputError(
            f"marginals must be {classes} shares, none below 0, that add up to 1, but {np.asarray(marginals)} came"
        )
    return np.broadcast_to(given, prototypes.shape[:-1])
