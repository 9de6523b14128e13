"""The collapse profile: how far a network has told the classes apart at each depth, read off one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from ncapps.collapse_measures import nc1_undivided, ratio
from ncapps.compression.probe import Probe
from ncapps.prototypes import squared_distances
from ncapps.statistics import ClassStatistics


@dataclass(frozen=True, kw_only=True)
class DepthCollapse:
    """How collapsed the pooled features are that a layer reads.

    Attributes
    ----------
    layer : str
        The first layer of a block, so that these are what the blocks before it made; or the classifier.
    channels : int
        How many it reads.
    nc1 : float
        trace(S_w pinv(S_b)) / classes, as `measure_collapse` has it; 0 = every class is one point.
    quotient : float
        trace(S_w) / trace(S_b): the same without regard to directions.
    accuracy : float
        Fraction of the images whose own class mean, taken without the image, is the nearest; 1 = all.
    effective_rank : float
        The exponential of the entropy of the class means' singular values (Roy and Vetterli 2007); at most the number
        of classes less one.
    """

    layer: str
    channels: int
    nc1: float
    quotient: float
    accuracy: float
    effective_rank: float


def depths(probe: Probe) -> list[str]:
    """Return the layers whose inputs are looked at, in the order in which they run.

    They are those that write an inner width, and the classifier; in a network with residual streams only those of them
    that read a stream.
    """
    inner = [width for width in probe.widths if not width.is_stream]
    inside = {width.consumer for width in inner} if any(one.joins for one in probe.branches) else set()
    first = [width.producer for width in inner if width.producer not in inside]
    order = {name: place for place, name in enumerate(probe.layer_macs)}
    found = sorted(set(first), key=order.__getitem__)
    return found if probe.classifier is None else [*found, probe.classifier]


def effective_depth(profile: Sequence[DepthCollapse], points: float = 1.0) -> int:
    """Return the first position whose accuracy is within `points` percentage points of the last one's.

    From there on the classes are told apart, and what is left only draws them together.

    Examples
    --------
    >>> labels = np.arange(20) % 2
    >>> noise = np.random.default_rng(0).normal(size=(20, 3))
    >>> profile = profile_collapse({"early": noise, "late": noise + 9 * labels[:, None]}, labels)
    >>> profile[effective_depth(profile)].layer
    'late'
    """
    enough = profile[-1].accuracy - points / 100 - 1e-9
    return next(place for place, one in enumerate(profile) if one.accuracy >= enough)


class PooledInputs:
    """What some layers read, averaged over all places of the image, gathered while others run the network.

    Examples
    --------
    >>> import torch
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(16, 2))
    >>> pooled = PooledInputs()
    >>> with pooled.gathering(network, ["0", "2"]), torch.no_grad():
    ...     _ = network(torch.randn(5, 3, 2, 2))
    >>> {name: values.shape for name, values in pooled.values.items()}
    {'0': (5, 3), '2': (5, 16)}
    """

    def __init__(self) -> None:
        self._found: dict[str, list[np.ndarray]] = {}

    @contextmanager
    def gathering(self, model: nn.Module, layers: Sequence[str]) -> Iterator[None]:
        """Watch every forward pass inside the block."""
        self._found = {name: [] for name in layers}
        handles = [model.get_submodule(name).register_forward_pre_hook(self._hook(name)) for name in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @property
    def values(self) -> dict[str, np.ndarray]:
        """Features by layer, float32, (images, channels)."""
        return {name: np.concatenate(parts) for name, parts in self._found.items() if parts}

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any) -> None:
            # Linear layers have the channels last, whatever comes before.
            read = inputs[0].detach() if isinstance(module, nn.Conv2d) else inputs[0].detach().movedim(-1, 1)
            self._found[name].append(read.flatten(2).mean(dim=2).cpu().numpy() if read.ndim > 2 else read.cpu().numpy())

        return hook


def profile_collapse(features: Mapping[str, np.ndarray], labels: np.ndarray) -> tuple[DepthCollapse, ...] | None:
    """Return the collapse of each layer's features; None where fewer than two classes have two images.

    Parameters
    ----------
    features : mapping
        By layer, shape (images, channels).
    labels : ndarray
        One class an image; images of classes with a single one are left out.
    """
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if not features or (counts >= 2).sum() < 2:
        return None
    used = counts[codes] >= 2
    names = classes[codes][used]
    return tuple(_depth(layer, values[used].astype(np.float64), names) for layer, values in features.items())


def _depth(layer: str, values: np.ndarray, labels: np.ndarray) -> DepthCollapse:
    channels = values.shape[1]
    if channels > len(values):
        # Distances stay what they are, and so does every measure; the scatter of many channels would fill the memory.
        values = np.linalg.qr((values - values.mean(axis=0)).T)[1].T
    stats = ClassStatistics.from_features(values, labels)
    centered = stats.means - stats.center
    return DepthCollapse(
        layer=layer,
        channels=channels,
        nc1=nc1_undivided(stats.within_covariance, centered) / len(stats.classes),
        quotient=ratio(float(np.trace(stats.within_covariance)), float((centered**2).sum()) / len(stats.classes)),
        accuracy=_accuracy_without_itself(values, labels, stats),
        effective_rank=effective_rank(centered),
    )


def effective_rank(matrix: np.ndarray) -> float:
    """Return the exponential of the entropy of the singular values, 1 to the rank; 0 where all are 0.

    Examples
    --------
    >>> round(effective_rank(np.eye(3)), 6)
    3.0
    """
    values = np.linalg.svd(matrix, compute_uv=False)
    if values.sum() == 0:
        return 0.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _accuracy_without_itself(values: np.ndarray, labels: np.ndarray, stats: ClassStatistics) -> float:
    distances = squared_distances(values, stats.means)
    own = np.searchsorted(np.asarray(stats.classes), labels)
    rows, counts = np.arange(len(values)), stats.counts[own]
    # An image's distance to the mean of the others of its class is n / (n - 1) times that to the mean of all.
    distances[rows, own] *= (counts / (counts - 1)) ** 2
    return float((distances.argmin(axis=1) == own).mean())
