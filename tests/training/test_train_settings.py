from __future__ import annotations

import dataclasses

import pytest

from ncapps.errors import InputError
from ncapps.training.settings import TrainSettings


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
