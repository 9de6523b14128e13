"""One prepared network serves every target, in any order, as if each had been asked for alone."""

import time

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms

from ncapps.compression import compress
from ncapps.compression.building import How, check, rank_and_ask
from ncapps.compression.calibration import gather
from ncapps.compression.preparation import prepare
from ncapps.compression.result import shapes_of
from ncapps.errors import InputError

IMAGES = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))
HOW = {"importance": "obs", "allocation": "loss", "seed": 0, "repair": True, "views": 2, "progress": False}


@torch.no_grad()
def test_each_target_gives_what_compress_gives():
    model = randomise_norms(TinyResNet()).eval()
    chosen = gather(IMAGES, None, limit=12, batch_size=128, seed=0)
    with torch.enable_grad():
        work = rank_and_ask(prepare(model, chosen, time_limit=60, progress=False), How(**HOW), None)
    for target in (0.6, 0.8):
        one = work.build("macs", target, classes=None, shapes=shapes_of(model), start=time.perf_counter())
        alone = compress(model, IMAGES, macs=target, views=2, progress=False)
        assert one.plan == alone.plan
        assert torch.equal(one.model(IMAGES), alone.model(IMAGES))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"allocation": "fair"}, "allocation 'fair' is unknown; there are loss, repaired, uniform"),
        ({"repair": "all"}, "repair is True, False or \"batchnorm\", but 'all' came"),
        ({"allocation": "repaired", "repair": False}, 'allocation "repaired" counts on the repair'),
        ({"views": 0}, "views must be 1 or more, but 0 came"),
    ],
)
def test_wrong_settings_are_refused(wrong, words):
    with pytest.raises(InputError) as caught:
        check(TinyResNet(), How(**{**HOW, **wrong}))
    assert words in str(caught.value)


def test_only_float32_networks_are_taken():
    with pytest.raises(InputError, match=r"has torch.float64; call model.float\(\) first"):
        check(TinyResNet().double(), How(**HOW))
