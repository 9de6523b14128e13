"""Moving all layers of a stretch at once: better on images it never saw, and never worse on its judges."""

import copy

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms

from ncapps.compression import joint_refinement
from ncapps.compression.calibration import Calibration
from ncapps.compression.joint_refinement import handed_on, refine_jointly
from ncapps.compression.probe import probe
from ncapps.compression.repair import repair
from ncapps.compression.surgery import shrunk_copy
from ncapps.compression.widths import find_inner_widths


def images_of(count, seed):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def pruned():
    """A residual network with half its inner channels, refitted layer by layer; its dense one and its layers."""
    dense = randomise_norms(TinyResNet(blocks=3, channels=8)).eval()
    images = images_of(96, 0)
    found = probe(dense, images[:2], find_inner_widths(dense, images[:2]))
    kept = [range(4)] * len(found.widths)
    small = shrunk_copy(dense, found.widths, kept)
    calibration = Calibration(images=images, labels=None, batch_size=32)
    repair(small, dense, found, kept, calibration, views=1, rounds=0)
    order = {name: place for place, name in enumerate(found.values)}
    branches = sorted((*found.producers, *found.branches), key=lambda branch: order[branch.layer])
    return dense, small, branches, calibration


def refined(pruned, dense=None, **settings):
    own, small, branches, calibration = pruned
    dense = own if dense is None else dense
    small = copy.deepcopy(small)
    targets = {branch.layer: lambda visit: handed_on(visit, dense) for branch in branches if branch.joins}
    refine_jointly(small, dense, branches, targets, calibration, **{"batch": 32, "views": 2, "steps": 6, **settings})
    return small


@torch.no_grad()
def error(dense, small, images):
    wanted = dense(images)
    return float((small(images) - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum())


def test_images_that_it_never_saw_come_out_better(pruned):
    dense, small, *_ = pruned
    new = images_of(64, 1)
    assert error(dense, refined(pruned), new) < 0.9 * error(dense, small, new)


def test_the_same_seed_gives_the_same_network_and_another_one_another(pruned):
    first, second, third = (refined(pruned, steps=2, seed=seed) for seed in (3, 3, 4))
    new = images_of(8, 1)
    assert torch.equal(first(new), second(new))
    assert not torch.equal(first(new), third(new))


def test_steps_that_the_judges_do_not_like_are_taken_back(pruned, monkeypatch):
    monkeypatch.setattr(joint_refinement._Pair, "step", lambda self, batch, seed: 0.3 * self.weights.get())
    dense, small, *_ = pruned
    new = images_of(8, 1)
    with torch.no_grad():
        assert torch.allclose(refined(pruned)(new), small(new), atol=1e-4)


def test_where_nothing_was_cut_nothing_changes(pruned):
    dense, small, branches, calibration = pruned
    same = refined((small, small, branches, calibration))
    new = images_of(8, 1)
    with torch.no_grad():
        assert torch.allclose(same(new), small(new), atol=1e-4)


def test_norms_hold_the_statistics_of_what_they_read(pruned):
    _, _, _, calibration = pruned
    small = refined(pruned, steps=2)
    read = []
    handle = small.blocks[1].bn2.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    with torch.no_grad():
        small(calibration.images)
    handle.remove()
    assert torch.allclose(small.blocks[1].bn2.running_mean, read[0].mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(small.blocks[1].bn2.running_var, read[0].var((0, 2, 3), correction=0), rtol=1e-3)


def test_the_dense_network_and_other_layers_are_left_alone(pruned):
    dense, small, *_ = pruned
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    moved = refined(pruned, steps=2)
    assert all(torch.equal(before[name], tensor) for name, tensor in dense.state_dict().items())
    assert torch.equal(moved.stem.weight, small.stem.weight)
    assert torch.equal(moved.head.weight, small.head.weight)
    assert all(parameter.requires_grad for parameter in moved.parameters())


def drawn(images, batch, count):
    numbers = torch.arange(float(images)).reshape(images, 1, 1, 1).expand(images, 1, 4, 4)
    calibration = Calibration(images=numbers, labels=None, batch_size=8)
    found = list(joint_refinement._draws(calibration, batch, 3, count, np.random.default_rng(0)))
    assert [len(draw) for draw in found] == [batch] * count
    return [draw[:, 0, 0, 0].tolist() for draw in found]


def test_draws_show_all_images_but_the_judges_equally_often():
    judge, *others = drawn(12, 4, 5)
    assert sorted(sum(others, [])) == sorted([*(set(range(12)) - set(judge))] * 2)


def test_where_there_are_no_other_images_the_judges_are_drawn_too():
    assert all(sorted(draw) == [*range(4)] for draw in drawn(4, 4, 3))
