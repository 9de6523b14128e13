from __future__ import annotations

import pytest
import torch

from ncapps.simplex import SimplexETF
from ncapps.training.losses import training_loss
from ncapps.training.settings import TrainSettings

LABELS = torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("scale", [None, 8.0])
@pytest.mark.parametrize("head", ["learned", "etf"])
def test_squared_error_is_zero_just_at_its_target(head, scale):
    settings = TrainSettings(loss="mse", head=head, feature_scale=scale, mse_target=2.0)
    own = 2.0 if scale is None else scale
    rows = torch.eye(3) if head == "learned" else torch.from_numpy(SimplexETF.construct(3, 5).vertices).float()
    logits = own * (rows @ rows.T)[LABELS]
    assert float(training_loss(logits, LABELS, settings)) == pytest.approx(0.0, abs=1e-9)
    off = float(training_loss(logits + 0.1, LABELS, settings))
    assert off == pytest.approx(0.5 * 3 * 0.01 / (1.0 if scale is None else scale), rel=1e-4)


def test_dot_regression_asks_for_the_own_class_alone():
    settings = TrainSettings(loss="dot_regression", head="etf", feature_scale=10.0)
    logits = torch.randn(4, 3)
    logits[torch.arange(4), LABELS] = 10.0
    assert float(training_loss(logits, LABELS, settings)) == pytest.approx(0.0, abs=1e-9)
    logits[torch.arange(4), LABELS] = 5.0
    assert float(training_loss(logits, LABELS, settings)) == pytest.approx(0.5 * 10 * 0.25)


def test_cross_entropy_with_smoothing_is_torchs():
    logits = torch.randn(4, 3)
    expected = torch.nn.functional.cross_entropy(logits, LABELS, label_smoothing=0.1)
    assert training_loss(logits, LABELS, TrainSettings(label_smoothing=0.1)) == expected
