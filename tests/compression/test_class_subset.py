"""Pruning for some of the classes: the outputs that are left are the dense network's, and only they count."""

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import compress, load_compressed
from ncapps.compression.calibration import gather
from ncapps.compression.class_subset import cut_outputs, only_classes
from ncapps.errors import InputError

LABELS = torch.arange(40) % 5


@pytest.fixture
def model():
    return randomise_norms(TinyResNet()).eval()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return nn.functional.interpolate(torch.randn(40, 3, 4, 4, generator=generator), size=16, mode="bilinear")


@torch.no_grad()
def test_the_outputs_are_the_dense_networks_in_the_order_asked_for(model, images):
    small = cut_outputs(model, images[:2], [4, 1])
    assert torch.allclose(small(images), model(images)[:, [4, 1]], atol=1e-6)
    assert (small.head.out_features, model.head.out_features) == (2, 5)


def test_only_their_images_are_left_and_labels_count_anew(images):
    few = only_classes(gather(images, LABELS, limit=99, batch_size=8, seed=0), [3, 0], limit=99, seed=0)
    assert len(few) == 16
    assert torch.equal(few.images, images[(LABELS == 3) | (LABELS == 0)])
    assert few.labels.tolist() == [1, 0] * 8
    assert len(only_classes(few, [0, 1], limit=5, seed=0)) == 5


@torch.no_grad()
def test_compress_for_two_classes(model, images, tmp_path):
    small = compress(model, images, LABELS, macs=0.5, classes=[3, 0], held_out=(images, LABELS), progress=False)
    assert small.model(images).shape == (40, 2)
    assert (small.plan.classes, small.report.images, small.report.held_out_images) == ((3, 0), 16, 16)
    small.save(tmp_path / "small.safetensors")
    again = load_compressed(tmp_path / "small.safetensors", TinyResNet())
    assert torch.equal(again.model(images), small.model(images))
    assert again.plan == small.plan


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (None, [0, 1], "classes need labels that are the network's output indices"),
        (["a"] * 40, [0, 1], "classes need labels that are the network's output indices"),
        (LABELS, [0], "two outputs or more"),
        (LABELS, [1, 1], "each once"),
        (LABELS, [0, 7], "no image of class 7"),
        (torch.where(LABELS == 4, 9, LABELS), [0, 9], "outputs of the network, 0 to 4"),
    ],
)
def test_mistakes_get_one_clear_line(model, images, labels, classes, words):
    with pytest.raises(InputError, match=words):
        compress(model, images, labels, classes=classes, progress=False)
