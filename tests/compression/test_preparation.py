"""One statistics pass serves every target, importance and unit."""

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms

from ncapps.compression.calibration import gather
from ncapps.compression.macs import count_macs, layer_parameters
from ncapps.compression.preparation import prepare
from ncapps.errors import InputError


@pytest.fixture(scope="module")
def ready():
    images = torch.randn(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    model = randomise_norms(TinyResNet()).eval()
    calibration = gather(images, None, limit=99, batch_size=8, seed=0)
    return prepare(model, calibration, example=None, time_limit=60, progress=False)


@pytest.mark.parametrize("unit", ["macs", "params"])
@pytest.mark.parametrize("allocation", ["loss", "uniform"])
@pytest.mark.parametrize("target", [0.8, 0.4])
def test_the_target_is_met_in_each_unit(ready, unit, allocation, target):
    small = ready.cut(ready.choose(ready.rank("obs", 0), target, unit=unit, allocation=allocation))
    parameters = [sum(p.numel() for p in network.parameters()) for network in (small, ready.dense)]
    macs = [count_macs(network, ready.example) for network in (small, ready.dense)]
    got, before = macs if unit == "macs" else parameters
    assert target - 0.06 < got / before <= target


def test_uniform_takes_the_same_of_all(ready):
    kept = ready.choose(ready.rank("obs", 0), 0.5, allocation="uniform")
    assert len({len(channels) for channels in kept}) == 1
    assert len({len(channels) for channels in ready.choose(ready.rank("obs", 0), 0.5)}) > 1


def test_what_is_out_of_reach_is_one_clear_line(ready):
    with pytest.raises(InputError, match=r"macs=0\.01 is out of reach: .* of the operations are left; ask for macs="):
        ready.choose(ready.rank("obs", 0), 0.01)
    with pytest.raises(InputError, match="'magic' is unknown"):
        ready.rank("magic", 0)


def test_parameters_of_each_layer_are_counted_once():
    model = TinyResNet()
    assert sum(layer_parameters(model).values()) == sum(p.numel() for p in model.parameters())
