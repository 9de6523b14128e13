"""The watch for a branch's addition to its stream."""

import weakref

import pytest
import torch

from ncapps.compression.residual import ResidualWatch


@pytest.fixture
def joins():
    return []


@pytest.fixture
def watch(joins):
    return ResidualWatch(lambda name, branch, shortcut: joins.append((name, shortcut.clone())))


@pytest.mark.parametrize(
    "join",
    [lambda a, b: a + b, lambda a, b: b + a, torch.add, lambda a, b: b.add_(a), lambda a, b: a.add(b)],
    ids=["branch + stream", "stream + branch", "torch.add", "stream.add_", "branch.add"],
)
def test_an_addition_is_seen_with_its_other_side(watch, joins, join):
    branch, stream = torch.randn(2, 3), torch.randn(2, 3)
    before = stream.clone()
    with watch:
        watch.watch("tail", branch)
        total = join(branch, stream)
    assert [name for name, _ in joins] == ["tail"]
    assert torch.equal(joins[0][1], before)
    assert torch.equal(total, branch + before)


@pytest.mark.parametrize(
    "other",
    [
        lambda branch: branch + 1,
        lambda branch: branch + torch.randn(3),
        lambda branch: branch * torch.randn(2, 3),
        lambda branch: branch.relu() + torch.randn(2, 3),
        lambda branch: branch.relu_() + torch.randn(2, 3),
        lambda branch: torch.add(branch, torch.randn(2, 3), alpha=2),
    ],
    ids=["number", "another shape", "product", "after relu", "after relu in place", "scaled"],
)
def test_what_is_no_plain_addition_of_the_branch_is_not(watch, joins, other):
    branch = torch.randn(2, 3)
    with watch:
        watch.watch("tail", branch)
        other(branch)
    assert joins == []


def test_nothing_is_seen_when_forgotten_or_outside(watch, joins):
    branch, stream = torch.randn(2, 3), torch.randn(2, 3)
    watch.watch("tail", branch)
    _ = branch + stream
    watch.forget()
    with watch:
        _ = branch + stream
    assert joins == []


@torch.no_grad()
def test_what_a_layer_reads_before_the_addition_begins_a_stream():
    """As between two inverted residuals: the first one's output is the second one's shortcut."""
    layer, joined = torch.nn.Linear(3, 3), []
    with ResidualWatch(lambda name, branch, shortcut: joined.append(name)) as watch:
        start = torch.ones(2, 3) * 2
        watch.watch("first", start)
        assert start.shape == (2, 3)
        assert start.size(0) + start.dim() == 4
        branch = layer(start)
        watch.watch("second", branch)
        start + branch
    assert joined == ["second"]


@torch.no_grad()
def test_what_has_been_read_is_let_go_of():
    with ResidualWatch(lambda name, branch, shortcut: None) as watch:
        kept = []
        for join in (lambda value: value + torch.ones(2), torch.relu):
            value = torch.zeros(2)
            watch.watch("tail", value)
            kept.append(weakref.ref(value))
            join(value)
            del value
    assert [reference() for reference in kept] == [None, None]
