"""A stretch as a function of its weights: the derivative is that of autograd, the adjoint its transpose."""

import gc
import weakref

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.joint_refinement import handed_on
from ncapps.compression.probe import probe
from ncapps.compression.repair import repair
from ncapps.compression.stretch import Stretch, Weights, run_up_to
from ncapps.compression.surgery import shrunk_copy
from ncapps.compression.visits import visiting
from ncapps.compression.widths import find_inner_widths


def repaired_resnet(blocks=2):
    """A small residual network whose norms undo their statistics, as repair leaves them, and its layers."""
    model = randomise_norms(TinyResNet(blocks=blocks, channels=8)).eval()
    images = torch.randn(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = probe(model, images[:2], find_inner_widths(model, images[:2]))
    kept = [range(5)] * len(found.widths)
    small = shrunk_copy(model, found.widths, kept)
    repair(small, model, found, kept, Calibration(images=images, labels=None, batch_size=8), views=1, rounds=0)
    order = {name: place for place, name in enumerate(found.values)}
    branches = sorted((*found.producers, *found.branches), key=lambda branch: order[branch.layer])
    return small, branches, images


def dot(first, second):
    return float(sum((a.double() * b.double()).sum() for a, b in zip(first, second, strict=True)))


@pytest.fixture
def stretch():
    small, branches, images = repaired_resnet()
    weights = Weights(small, branches)
    consumers = [branch.layer for branch in branches if branch.joins]
    with visiting(small, branches) as run:
        yield Stretch(run, weights, {name: lambda seen: handed_on(seen, small) for name in consumers}, images), weights


def change_of(weights, seed=1, size=1.0):
    return size * torch.randn(weights.get().shape, generator=torch.Generator().manual_seed(seed))


def test_pull_is_the_transpose_of_push(stretch):
    one, weights = stretch
    change = change_of(weights)
    error = [torch.randn(value.shape, generator=torch.Generator().manual_seed(2)) for value in one.values]
    length = 1e-3 * dot(one.values, one.values) ** 0.5
    forwards = dot(one.push(change, length=length), error)
    backwards = float(change.double() @ one.pull(error).double())
    assert forwards == pytest.approx(backwards, rel=0.02)


def test_push_is_the_slope_of_what_is_handed_on(stretch):
    one, weights = stretch
    change = change_of(weights, size=1e-4)
    moved = one.moved(change)
    slope = one.push(change, length=1e-3 * dot(one.values, one.values) ** 0.5)
    error = [new - old - step for new, old, step in zip(moved, one.values, slope, strict=True)]
    assert dot(error, error) < 0.02**2 * dot(slope, slope)


def test_moving_leaves_the_weights_alone_and_nothing_moves_nothing(stretch):
    one, weights = stretch
    before = weights.get()
    still = one.moved(torch.zeros_like(before))
    one.moved(change_of(weights))
    assert torch.equal(weights.get(), before)
    assert all(torch.equal(a, b) for a, b in zip(still, one.values, strict=True))


def test_nothing_of_the_graph_is_left_when_it_is_let_go():
    small, branches, images = repaired_resnet(blocks=1)
    taps = {branch.layer: lambda seen: handed_on(seen, small) for branch in branches if branch.joins}
    gc.disable()
    try:
        with visiting(small, branches) as run:
            one = Stretch(run, Weights(small, branches), taps, images)
            one.slopes([torch.ones_like(value) for value in one.values])
            held = [weakref.ref(one), *(weakref.ref(visit.output) for visit in one.visits.values())]
            del one
            assert [ref() is None for ref in held] == [True] * len(held)
    finally:
        gc.enable()


def test_the_vector_goes_there_and_back():
    small, branches, _ = repaired_resnet()
    weights = Weights(small, branches)
    new = change_of(weights)
    weights.set(new)
    assert torch.equal(weights.get(), new)
    shapes = [tuple(matrix.shape) for matrix in weights.split(new)]
    assert shapes == weights.shapes
    assert torch.equal(torch.cat([matrix.flatten() for matrix in weights.split(new)]), new)


def test_only_its_own_parameters_are_differentiated_and_all_are_as_before_afterwards():
    small, branches, _ = repaired_resnet()
    weights = Weights(small, branches)
    before = {name: parameter.requires_grad for name, parameter in small.named_parameters()}
    own = {id(parameter) for parameter in weights.parameters}
    with weights.differentiable():
        assert all(parameter.requires_grad == (id(parameter) in own) for parameter in small.parameters())
    assert before == {name: parameter.requires_grad for name, parameter in small.named_parameters()}


def test_the_network_runs_no_further_than_the_last_layer():
    small, branches, images = repaired_resnet()
    calls, seen = [], []
    small.blocks[1].register_forward_hook(lambda *_: calls.append(1))
    with visiting(small, branches[:2]) as run:
        assert run_up_to(run, images[:2], 2, {}, on_visit=lambda visit: seen.append(visit.branch.layer)) == []
    assert seen == [branch.layer for branch in branches[:2]]
    assert not calls


@torch.no_grad()
def test_a_norm_that_follows_a_layer_is_part_of_what_is_handed_on():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))
    model = randomise_norms(layers).eval()
    images = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    found = probe(model, images[:2], find_inner_widths(model, images[:2]))
    with visiting(model, found.branches) as run:
        (value,) = run_up_to(run, images, 1, {"3": lambda visit: handed_on(visit, model)})
    assert torch.allclose(value, model(images), atol=1e-5)


class InPlace(nn.Module):
    """A residual block as timm writes it: the sum and the activations overwrite what they read."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)
        self.head = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        inner = torch.relu_(self.conv1(x))
        inner = self.conv2(inner)
        inner += x
        return self.head(torch.relu_(inner))


def test_what_works_in_place_is_seen_before_it_does():
    model = InPlace().eval()
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = probe(model, images[:2], find_inner_widths(model, images[:2]))
    branches = (*found.producers, *found.branches)
    taps = {"conv2": lambda visit: handed_on(visit, model)}
    with torch.no_grad():
        stream = model.conv2(model.conv1(images).relu()) + images
    with visiting(model, branches) as run:
        one = Stretch(run, Weights(model, branches), taps, images)
        assert torch.allclose(one.values[0], stream, atol=1e-5)
        slopes = one.slopes([torch.ones_like(stream)])
    start = model.conv1(images).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(model.conv2(start.relu()).sum(), start)
    assert torch.allclose(slopes["conv1"], slope, atol=1e-5)
    assert torch.allclose(slopes["conv2"], torch.ones_like(stream))
