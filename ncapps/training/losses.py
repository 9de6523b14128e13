"""The losses that lead to collapse: cross-entropy, squared error on logits, and dot regression onto a simplex."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ncapps.training.settings import TrainSettings


def training_loss(logits: Tensor, labels: Tensor, settings: TrainSettings) -> Tensor:
    """Return the mean loss of a batch.

    Parameters
    ----------
    logits : Tensor
        (images, classes), float32.
    labels : Tensor
        Positions of the classes, (images,).
    settings : TrainSettings
        `loss`, `label_smoothing`, `mse_target`, `head` and `feature_scale` decide.

    Notes
    -----
    Dot regression is eq. 7 of Yang et al. (ICLR 2023, NC-FSCIL), on the logits: half of scale * (cosine - 1)^2. It only
    pulls, so it wants the head "etf", whose rows cannot fall into one.
    """
    if settings.loss == "cross_entropy":
        return F.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
    if settings.loss == "dot_regression":
        scale = float(settings.feature_scale or 1.0)
        cosines = logits.gather(1, labels[:, None]) / scale
        return 0.5 * scale * (cosines - 1).square().mean()
    target = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    if settings.head == "etf":
        classes = logits.shape[1]
        target = (classes * target - 1) / (classes - 1)
    if settings.feature_scale is None:
        return 0.5 * (logits - settings.mse_target * target).square().sum(1).mean()
    # On cosines, as in dot regression: on the logits themselves the step would grow with the scale's square.
    scale = settings.feature_scale
    return 0.5 * scale * (logits / scale - target).square().sum(1).mean()
