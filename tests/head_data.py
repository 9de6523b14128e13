"""Activations as after a ReLU, a head on them, and labels."""

from types import SimpleNamespace

import numpy as np

# The detectors that read nothing but the classifier's logits, or those of activations that they shaped first.
HEAD_ALONE = "msp max_logit energy gen kl_matching react ash_s scale grad_norm dice".split()


def activations(rows=60, width=40, classes=7, seed=0, scale=1.0):
    """Return sparse activations and a head with a bias, in float64."""
    random = np.random.default_rng(seed)
    X = scale * np.maximum(random.standard_normal((rows, width)), 0)
    head = SimpleNamespace(weight=random.standard_normal((classes, width)) / 2, bias=random.standard_normal(classes))
    return X, head


def labels(rows, classes=7):
    return np.arange(rows) % classes
