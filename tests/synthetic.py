"""Synthetic collapsed features: class points near a simplex, and images around them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """The least a head has to be: a weight and a bias."""

    weight: np.ndarray
    bias: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class Collapsed:
    """Features near the class points, their labels, and a head whose rows point the same way."""

    features: np.ndarray
    labels: np.ndarray
    head: LinearHead


def make_collapsed(
    n_classes=8, width=12, per_class=30, within=1e-4, offset=0.0, uneven=0.05, seed=0, names="int"
) -> Collapsed:
    """Draw class points of length about 1 that are a simplex up to `uneven`, and images `within` around them."""
    random = np.random.default_rng(seed)
    points = np.linalg.qr(random.standard_normal((width, width)))[0][:n_classes]
    points = points - points.mean(axis=0) + uneven * random.standard_normal((n_classes, width))
    # Classes of 1, 2, ... images too: one image is the common case when classes are added.
    sizes = np.maximum(1, per_class - 4 * np.arange(n_classes))
    codes = random.permutation(np.repeat(np.arange(n_classes), sizes))
    features = points[codes] + within * random.standard_normal((len(codes), width)) + offset
    weight = 2.5 * points + uneven * random.standard_normal(points.shape)
    bias = 0.1 * random.standard_normal(n_classes) - offset * weight.sum(axis=1)
    labels = codes if names == "int" else np.array([f"class {code:02d}" for code in range(n_classes)])[codes]
    return Collapsed(features=features, labels=labels, head=LinearHead(weight=weight, bias=bias))
