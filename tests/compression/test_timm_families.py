"""Four families of timm, small and with random gains: the gate holds, and a saved network comes back bit for bit."""

import pytest
import timm
import torch
from compression_nets import randomise_norms

from ncapps.compression import compress, load_compressed
from ncapps.compression.gate import TOLERANCE, relative_errors
from ncapps.compression.probe import probe
from ncapps.compression.widths import find_inner_widths
from ncapps.features import backbone  # noqa: F401 - registers the CIFAR ResNets

FAMILIES = {
    "resnet18": {"channels": (8, 8, 16, 16), "stem_type": "deep", "stem_width": 4},
    "resnet50": {"channels": (8, 8, 16, 16), "layers": (1, 1, 1, 1), "stem_type": "deep", "stem_width": 4},
    "cifar_resnet20": {},
    "mobilenetv2_035": {"depth_multiplier": 0.4},
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 48},
    "convnext_atto": {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
}
# Widths that must be found, so that a family cannot pass by losing its widths.
EXPECTED = {
    "resnet18": 8,
    "resnet50": 8,
    "cifar_resnet20": 9,
    "mobilenetv2_035": 14,
    "vit_tiny_patch16_224": 2,
    "convnext_atto": 4,
}


def build(name: str) -> torch.nn.Module:
    with torch.random.fork_rng():
        return timm.create_model(name, num_classes=5, **FAMILIES[name])


@pytest.mark.parametrize("name", FAMILIES)
def test_inner_widths_are_found_and_cut_exactly(name):
    model = randomise_norms(build(name)).eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = probe(model, images, find_inner_widths(model, images))
    assert len(found.widths) >= EXPECTED[name]
    kept = [list(range(0, width.channels, 2)) for width in found.widths]
    assert max(relative_errors(model, found.widths, kept, images)) < TOLERANCE
    everything = [list(range(width.channels)) for width in found.widths]
    assert max(relative_errors(model, found.widths, everything, images)) == 0.0


@pytest.mark.parametrize("name", FAMILIES)
def test_saved_and_loaded_is_bit_exact(name, tmp_path):
    model = randomise_norms(build(name)).eval()
    images = torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    small = compress(model, images, macs=0.8, progress=False)
    assert 0.7 < small.report.macs_ratio <= 0.8
    small.save(tmp_path / "small.safetensors")
    fresh = build(name)
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    again = load_compressed(tmp_path / "small.safetensors", fresh)
    with torch.no_grad():
        assert torch.equal(again.model(images), small.model(images))
        assert not torch.equal(small.model(images), model(images))
    assert again.plan == small.plan
    assert again.report == small.report
    assert all(torch.equal(value, before[key]) for key, value in fresh.state_dict().items())


def test_joins_are_seen_where_a_branch_meets_its_stream():
    model = randomise_norms(build("resnet18")).eval()
    images = torch.randn(2, 3, 32, 32)
    found = probe(model, images, find_inner_widths(model, images))
    tails = [branch for branch in found.branches if branch.layer.startswith("layer")]
    assert len(tails) == 8
    assert all(branch.joins and branch.norm for branch in tails)
    assert not any(branch.joins for branch in found.producers)
