"""Taps and targets: the rows of a branch are the network's own values, and the targets its streams."""

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms

from ncapps.compression.calibration import Calibration
from ncapps.compression.probe import Branch
from ncapps.compression.taps import BranchTaps
from ncapps.compression.targets import collect_targets

IMAGES = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
TAIL = Branch(layer="blocks.0.conv2", norm="blocks.0.bn2", joins=True)
INSIDE = Branch(layer="blocks.0.conv1", norm="blocks.0.bn1", joins=False)


@pytest.fixture
def model():
    return randomise_norms(TinyResNet(blocks=1, channels=8)).eval()


@pytest.fixture
def values(model):
    """Stream, inside and branch of the block, one row a position."""
    block = model.blocks[0]
    with torch.no_grad():
        stream = model.bn(model.stem(IMAGES)).relu()
        inside = block.bn1(block.conv1(stream))
        branch = block.bn2(block.conv2(inside.relu()))
    return [value.permute(0, 2, 3, 1).reshape(-1, 8) for value in (stream, inside, branch)]


def test_rows_are_the_networks_own_values(model, values):
    seen = {}
    with BranchTaps(model, [TAIL, INSIDE], seen.__setitem__) as taps, torch.no_grad():
        assert torch.equal(taps.run(IMAGES), model(IMAGES))
    stream, inside, branch = values
    assert torch.allclose(seen[TAIL.layer].branch, branch, atol=1e-5)
    assert torch.allclose(seen[TAIL.layer].shortcut, stream, atol=1e-5)
    assert torch.allclose(seen[INSIDE.layer].branch, inside, atol=1e-5)
    assert seen[INSIDE.layer].shortcut is None
    assert seen[TAIL.layer].columns.shape == (len(stream), 72)
    assert seen[TAIL.layer].images == 5


def test_stop_leaves_the_pass_early_and_the_hooks_go_at_the_end(model):
    heads = []
    model.head.register_forward_hook(lambda *_: heads.append(1))

    def stop(name, rows):
        raise BranchTaps.Stop

    with BranchTaps(model, [INSIDE], stop) as taps:
        assert taps.run(IMAGES) is None
    assert heads == []
    assert not model.blocks[0].conv1._forward_hooks
    model(IMAGES)
    assert heads == [1]


@pytest.mark.parametrize("batch_size", [2, 5])
def test_targets_are_streams_where_a_branch_joins_and_the_kept_outputs_elsewhere(model, values, batch_size):
    stream, inside, branch = values
    calibration = Calibration(images=IMAGES, labels=None, batch_size=batch_size)
    found = collect_targets(model, [INSIDE, TAIL], {INSIDE.layer: [1, 4, 6]}, calibration)
    assert torch.allclose(found[TAIL.layer], stream + branch, atol=1e-5)
    assert torch.allclose(found[INSIDE.layer], inside[:, [1, 4, 6]], atol=1e-5)
