"""torch-pruning's scores are that library's, and lead to networks that meet the target."""

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms

from ncapps.compression import TORCH_PRUNING, compress
from ncapps.compression.calibration import gather
from ncapps.compression.importance.torch_pruning import torch_pruning_scores
from ncapps.compression.widths import find_inner_widths
from ncapps.errors import InputError

IMAGES = torch.randn(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(24) % 5


@pytest.fixture
def model():
    return randomise_norms(TinyResNet(blocks=2)).eval()


def scores(model, name, labels=LABELS, seed=0):
    calibration = gather(IMAGES, labels, limit=99, batch_size=8, seed=0)
    return torch_pruning_scores(model, IMAGES[:2], find_inner_widths(model, IMAGES[:2]), name, calibration, seed=seed)


def test_batchnorm_scale_and_activation_are_what_they_say(model):
    for block, got in zip(model.blocks, scores(model, "tp_batchnorm_scale"), strict=True):
        gains = block.bn1.weight.detach().abs().numpy()
        np.testing.assert_allclose(got, gains / gains.mean(), rtol=1e-5)
    with torch.no_grad():
        stream = model.bn(model.stem(IMAGES[-8:])).relu()
        inside = model.blocks[0].bn1(model.blocks[0].conv1(stream)).relu().mean((0, 2, 3)).numpy()
    np.testing.assert_allclose(scores(model, "tp_activation")[0], inside / inside.mean(), rtol=1e-4)


@pytest.mark.parametrize("name", TORCH_PRUNING)
def test_each_meets_the_target_and_leaves_the_model_alone(model, name):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    small = compress(
        model, IMAGES, LABELS, macs=0.5, importance=name, allocation="uniform", repair="batchnorm", progress=False
    )
    assert 0.4 < small.report.macs_ratio <= 0.5
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_random_scores_follow_the_seed_alone(model):
    state = torch.get_rng_state()
    one, same, other = (np.concatenate(scores(model, "tp_random", seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("labels", [None, ["a"] * 24])
def test_gradients_need_labels(model, labels):
    with pytest.raises(InputError, match='"tp_taylor" needs labels that are the network\'s output indices'):
        scores(model, "tp_taylor", labels)
