from __future__ import annotations

import pytest
import torch
from training_runs import changed, run

from ncapps.training.precision import autocast


def test_bfloat16_is_the_backbones_alone(bars):
    result = run(changed(precision="bfloat16", epochs=6), bars)
    assert result.history[-1].train_accuracy == pytest.approx(1.0, abs=0.1)
    assert all(value.dtype in (torch.float32, torch.int64) for value in result.model.state_dict().values())


def test_what_runs_in_which_precision():
    device = torch.device("cpu")
    product = torch.ones(2, 2)
    with autocast("bfloat16", device):
        assert (product @ product).dtype == torch.bfloat16
    with autocast("float32", device):
        assert (product @ product).dtype == torch.float32
