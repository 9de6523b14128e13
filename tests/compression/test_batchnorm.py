"""Re-estimated batch norms hold the statistics of the images; all else stays as it was."""

import copy

import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression.batchnorm import reestimate_batchnorms, restate_batchnorms
from ncapps.compression.calibration import Calibration

IMAGES = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def reestimated(batch_size=12):
    model = randomise_norms(TinyResNet(blocks=1)).eval()
    before = copy.deepcopy(model.state_dict())
    reestimate_batchnorms(model, ["bn"], Calibration(images=IMAGES, labels=None, batch_size=batch_size))
    return model, before


def test_the_norm_gets_mean_and_variance_of_what_it_reads():
    model, _ = reestimated()
    with torch.no_grad():
        read = model.stem(IMAGES)
    assert torch.allclose(model.bn.running_mean, read.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(model.bn.running_var, read.var((0, 2, 3)), rtol=1e-4)


def test_all_batches_count_alike():
    one, three = reestimated(12)[0].bn, reestimated(4)[0].bn
    assert torch.allclose(one.running_mean, three.running_mean, atol=1e-5)
    assert torch.allclose(one.running_var, three.running_var, rtol=0.1)


def test_nothing_else_changes():
    model, before = reestimated()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"bn.running_mean", "bn.running_var", "bn.num_batches_tracked"}
    assert model.bn.momentum == 0.1
    assert not any(module.training for module in model.modules())


@torch.no_grad()
def test_restated_norms_do_what_they_did_and_hold_what_they_read():
    model = randomise_norms(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))).eval()
    images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = model(images)
    restate_batchnorms(model, ["1", "3"], images.split(7))
    assert torch.allclose(model(images), before, atol=1e-5)
    for place in (1, 3):
        read = model[:place](images)
        assert torch.allclose(model[place].running_mean, read.mean((0, 2, 3)), atol=1e-5)
        assert torch.allclose(model[place].running_var, read.var((0, 2, 3), correction=0), atol=1e-5)
