from __future__ import annotations

import pytest
import torch
from training_runs import changed, run

from ncapps.collapse import measure_collapse


def test_the_history_holds_what_measuring_afterwards_gives(bars):
    result = run(changed(epochs=3, measure_every=2), bars, val_images=bars[0][:6], val_labels=bars[1][:6])
    assert [record.epoch for record in result.history] == [1, 2, 3]
    assert [record.nc1 is None for record in result.history] == [True, False, False]
    assert [record.val_accuracy is None for record in result.history] == [True, False, False]
    with torch.no_grad():
        pixels = result.backbone.preprocessing.normalise(torch.from_numpy(bars[0]))
        features = result.backbone.forward(pixels)[0].numpy()
    report = measure_collapse(features, bars[1], head=result.backbone.head)
    last = result.history[-1]
    assert last.nc1 == pytest.approx(report.nc1, rel=1e-4)
    assert last.nc2_equinorm == pytest.approx(report.nc2_equinorm, rel=1e-4)
    assert last.nc2_equiangularity == pytest.approx(report.nc2_equiangularity, rel=1e-4)
    assert last.nc3 == pytest.approx(report.nc3, rel=1e-4)
    assert last.nc4 == pytest.approx(report.nc4_agreement)
