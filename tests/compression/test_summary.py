"""Plan, report and file of a network that was cut by hand."""

import json
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps import persist
from ncapps.compression.calibration import Calibration
from ncapps.compression.probe import probe
from ncapps.compression.result import KIND, VERSION, Compressed, shapes_of
from ncapps.compression.summary import ask_dense, make_plan, make_report
from ncapps.compression.surgery import shrunk_copy
from ncapps.compression.widths import find_inner_widths
from ncapps.errors import InputError

IMAGES = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def compressed():
    model = randomise_norms(TinyResNet(blocks=1, channels=8)).eval()
    found = probe(model, IMAGES, find_inner_widths(model, IMAGES))
    small = shrunk_copy(model, found.widths, [(0, 2, 5)])
    small.blocks[0].conv2.bias = nn.Parameter(torch.zeros(8))
    plan = make_plan(model, small, found, [[0, 2, 5]], "l1", 3, False, (1000, 400))
    chosen = Calibration(images=IMAGES, labels=np.asarray(["cat", "dog"] * 3), batch_size=4)
    labels = model(IMAGES).argmax(dim=1).numpy()
    held = Calibration(images=IMAGES, labels=labels, batch_size=4)
    # As if it had taken 105 seconds, 100 of them on the held-out images.
    answers = replace(ask_dense(model, found, chosen, held), held_seconds=100.0)
    report = make_report(plan, answers, small, time.perf_counter() - 105)
    return Compressed(model=small, plan=plan, report=report, dense_shapes=shapes_of(model))


def test_the_plan_says_what_was_cut_and_added(compressed):
    plan = compressed.plan
    assert [(w.producer, w.consumer, w.coupled, w.kept) for w in plan.widths] == [
        ("blocks.0.conv1", "blocks.0.conv2", ("blocks.0.bn1",), (0, 2, 5))
    ]
    assert plan.added_biases == ("blocks.0.conv2",)
    assert (plan.importance, plan.seed, plan.repaired) == ("l1", 3, False)


def test_the_report_counts(compressed):
    report = compressed.report
    assert report.macs_ratio == 0.4
    assert (report.widths_before, report.widths_after) == ({"blocks.0.conv1": 8}, {"blocks.0.conv1": 3})
    # Five channels gone: 72 weights each on both sides and two of the norm; eight biases added.
    assert report.params_before - report.params_after == 5 * (72 + 72 + 2) - 8
    assert report.params_ratio == report.params_after / report.params_before
    assert report.held_out_accuracy_before == 1.0
    assert report.held_out_accuracy_after == report.held_out_agreement == report.agreement
    assert report.images == 6
    assert 5 <= report.seconds < 60


def test_the_file_holds_tensors_plan_and_report(compressed, tmp_path):
    compressed.save(tmp_path / "small.safetensors")
    arrays, header = persist.load(tmp_path / "small.safetensors", KIND, VERSION)
    assert {name: list(array.shape) for name, array in arrays.items() if array.ndim > 1} == {
        name: shape for name, shape in shapes_of(compressed.model).items() if len(shape) > 1
    }
    assert header["report"] == json.loads(json.dumps(asdict(compressed.report)))
    assert header["plan"]["widths"][0]["kept"] == [0, 2, 5]
    assert header["dense_shapes"]["blocks.0.conv1.weight"] == [8, 8, 3, 3]


def test_a_folder_is_no_file(compressed, tmp_path):
    with pytest.raises(InputError):
        compressed.save(tmp_path)
