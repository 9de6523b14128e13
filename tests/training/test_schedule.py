from __future__ import annotations

import torch

from ncapps.training.schedule import augmentation_of, batches, epoch_seed, learning_rate_at, stepped_rate_at
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


def test_a_stepped_rate_climbs_then_falls_at_its_milestones_alone():
    settings = TrainSettings(learning_rate=0.4, warmup=0.1)
    rates = [stepped_rate_at(step, 100, settings, (0.5, 0.9), 0.5) for step in range(100)]
    assert rates[:10] == [learning_rate_at(step, 100, settings) for step in range(10)]
    assert (set(rates[10:50]), set(rates[50:90]), set(rates[90:])) == ({0.4}, {0.2}, {0.1})
