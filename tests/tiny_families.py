"""Eight families of timm, small enough for tests."""

from __future__ import annotations

import timm
import torch
from compression_nets import randomise_norms
from timm.models.vgg import VGG
from torch import nn

FAMILIES = {
    "resnet18": {"channels": (8, 8, 16, 16), "stem_type": "deep", "stem_width": 4},
    "mobilenetv2_035": {"depth_multiplier": 0.4},
    "mobilenetv3_small_050": {},
    "test_efficientnet": {},
    "convnext_atto": {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 48},
    "densenet121": {"growth_rate": 8, "block_config": (2, 2, 2, 2)},
    "regnety_002": {},
    "vgg": {},
}


def build_tiny(name: str) -> nn.Module:
    """Build one of them with random gains and statistics, in evaluation mode, for images of 32 pixels."""
    with torch.random.fork_rng():
        if name == "vgg":
            plan = [8, "M", 16, "M", 16, 16, "M"]
            model = VGG(plan, num_classes=5, mlp_ratio=0.01, norm_layer=nn.BatchNorm2d)
        else:
            model = timm.create_model(name, num_classes=5, **FAMILIES[name])
    return randomise_norms(model).eval()
