from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training_runs import TINY, changed, run

from ncapps.training import TrainSettings, train

HEADS = [
    {"head": "learned"},
    {"head": "learned", "loss": "mse"},
    {"head": "learned", "feature_scale": 8.0},
    {"head": "etf"},
    {"head": "etf", "loss": "mse"},
    {"head": "etf", "feature_scale": 8.0},
    {"head": "etf", "feature_scale": 8.0, "loss": "dot_regression"},
    {"head": "class_means", "feature_scale": 8.0},
    {"head": "learned", "loss": "mse", "turned_fraction": 0.5},
    {"head": "class_means", "feature_scale": 8.0, "turned_fraction": 0.5},
]


@pytest.mark.parametrize("fields", HEADS, ids=lambda fields: "-".join(str(value) for value in fields.values()))
def test_every_head_and_loss_learns_and_ends_as_the_models_own_linear_layer(bars, fields):
    result = run(changed(epochs=15, **fields), bars)
    assert result.history[-1].train_accuracy is not None
    assert result.history[-1].train_accuracy >= 0.9
    linear = result.model.get_classifier()  # type: ignore[operator]
    assert type(linear) is nn.Linear
    assert linear.weight.shape == (3, 16)
    assert linear.out_features == result.model.num_classes == 3
    batch = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        features, logits = result.backbone.forward(batch)
        torch.testing.assert_close(result.model(batch), logits)
        torch.testing.assert_close(linear(features), logits)
    assert all(parameter.requires_grad for parameter in result.model.parameters())
    assert not result.model.training


@pytest.mark.parametrize("fields", HEADS, ids=lambda fields: "-".join(str(value) for value in fields.values()))
def test_the_exported_head_decides_as_the_head_in_training_did(bars, fields):
    result = run(changed(**fields), bars)
    names = np.array(result.classes)
    with torch.no_grad():
        _, logits = result.backbone.forward(result.backbone.preprocessing.normalise(torch.from_numpy(bars[0])))
    accuracy = float((names[logits.argmax(1).numpy()] == np.array(bars[1])).mean())
    assert accuracy == pytest.approx(result.history[-1].train_accuracy, abs=1e-9)


def test_the_seed_decides_everything_and_torchs_own_random_state_is_left_alone(bars):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = run(TINY, bars)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    assert run(TINY, bars).backbone.weights_hash == first.backbone.weights_hash
    assert run(changed(seed=1), bars).backbone.weights_hash != first.backbone.weights_hash


@pytest.mark.slow
def test_digits_collapse():
    from ncapps import config
    from ncapps.features.images import open_images, split_by_class

    settings = config.load(TrainSettings, Path(__file__).parents[2] / "configs" / "train" / "digits.yaml")
    digits = open_images("digits")
    known = digits.select(np.flatnonzero(np.array(digits.labels) < 8))
    parts = [known.select(part) for part in split_by_class(known.labels, (0.6, 0.2, 0.2), seed=0)]
    result = train(settings, parts[0], val_images=parts[2], progress=False)
    last = result.history[-1]
    assert last.train_accuracy == 1.0
    assert last.nc1 is not None
    assert last.nc1 < 0.05
    assert last.val_accuracy is not None
    assert last.val_accuracy >= 0.97
