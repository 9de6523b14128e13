from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from ncapps.errors import InputError
from ncapps.simplex import SimplexETF
from ncapps.training.losses import training_loss
from ncapps.training.optimizer import make_optimizer
from ncapps.training.schedule import augmentation_of, batches, epoch_seed, learning_rate_at
from ncapps.training.settings import TrainSettings


def test_the_rate_climbs_then_falls_to_nearly_nothing():
    settings = TrainSettings(learning_rate=0.4, warmup=0.1)
    rates = [learning_rate_at(step, 200, settings) for step in range(200)]
    assert max(rates) == 0.4
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0 < rates[-1] < 1e-3 * 0.4
    assert learning_rate_at(0, 200, TrainSettings(learning_rate=0.4, warmup=0.0)) == 0.4


def test_an_epochs_batches_hold_each_image_once_but_for_the_smaller_last_one():
    parts = batches(23, 5, torch.Generator().manual_seed(0))
    assert [len(part) for part in parts] == [5, 5, 5, 5]
    together = torch.cat(parts).tolist()
    assert len(set(together)) == 20
    assert together != sorted(together)
    assert sorted(batches(3, 5, torch.Generator())[0].tolist()) == [0, 1, 2]


def test_epochs_and_seeds_draw_differently():
    seeds = {epoch_seed(seed, epoch) for seed in range(5) for epoch in range(20)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_terminal_phase_is_not_augmented():
    settings = TrainSettings(epochs=10, augment="shift", final_fraction_without_augmentation=0.3)
    assert [augmentation_of(epoch, settings) for epoch in range(10)] == ["shift"] * 7 + ["none"] * 3


def test_norms_and_biases_do_not_decay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    decay = {
        id(parameter): group["weight_decay"]
        for group in make_optimizer(model, TrainSettings(weight_decay=0.1)).param_groups
        for parameter in group["params"]
    }
    assert {name: decay[id(parameter)] for name, parameter in model.named_parameters()} == {
        "0.weight": 0.1,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "3.weight": 0.1,
        "3.bias": 0.0,
    }


LABELS = torch.tensor([0, 1, 2, 1])


@pytest.mark.parametrize("scale", [None, 8.0])
@pytest.mark.parametrize("head", ["learned", "etf"])
def test_squared_error_is_zero_just_at_its_target(head, scale):
    settings = TrainSettings(loss="mse", head=head, feature_scale=scale, mse_target=2.0)
    own = 2.0 if scale is None else scale
    rows = torch.eye(3) if head == "learned" else torch.from_numpy(SimplexETF.construct(3, 5).vertices).float()
    logits = own * (rows @ rows.T)[LABELS]
    assert float(training_loss(logits, LABELS, settings)) == pytest.approx(0.0, abs=1e-9)
    assert float(training_loss(logits + 0.1, LABELS, settings)) == pytest.approx(0.5 * 3 * 0.01, rel=1e-4)


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more, but 0 came"),
        ({"batch_size": 1}, "batch_size must be 2 or more"),
        ({"warmup": 1.0}, r"warmup is a fraction in \[0, 1\), but 1.0 came"),
        ({"learning_rate": float("nan")}, "learning_rate must be greater than 0, but nan came"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or more, but -1.0 came"),
        ({"final_fraction_without_augmentation": 1.5}, "final_fraction_without_augmentation is a fraction"),
        ({"head": "etff"}, "head must be one of learned, etf, class_means, but 'etff' came"),
        ({"head": "class_means"}, "'class_means' compares directions: set feature_scale"),
        ({"loss": "dot_regression"}, "'dot_regression' compares directions: set feature_scale"),
        ({"feature_scale": 0.0}, "feature_scale must be greater than 0"),
        ({"loss": "mse", "label_smoothing": 0.1}, "label_smoothing belongs to the loss 'cross_entropy'"),
        ({"mse_target": 0.0}, "mse_target must be greater than 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(TrainSettings(), **fields)
