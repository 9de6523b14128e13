"""Batches for the transductive methods: unit rows around class means, in any proportions."""

import numpy as np


def make_batch(seed=0, shares=(15, 15, 15, 15, 15), shots=1, width=40, noise=0.9):
    """Return queries, prototypes, counts and each query's class."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((len(shares), width))
    truth = np.repeat(np.arange(len(shares)), shares)
    support = unit(means[:, None] + noise * rng.standard_normal((len(shares), shots, width)))
    queries = unit(means[truth] + noise * rng.standard_normal((len(truth), width)))
    return queries, support.mean(axis=1), np.full(len(shares), shots), truth


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def accuracy(probabilities, truth):
    return float((probabilities.argmax(axis=-1) == truth).mean())
