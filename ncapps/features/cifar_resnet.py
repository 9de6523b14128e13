"""CIFAR ResNets (20, 32, 44, 56, 110 layers) for 32 x 32 images; timm lacks them, so they are registered with it here.

He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition (2016), section 4.2: a 3 x 3 stem, three stages of
16, 32 and 64 channels, and shortcuts without parameters (their option A).
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn
from torch.nn import functional as F

_STAGE_WIDTHS = (16, 32, 64)


class SubsampleShortcut(nn.Module):
    """The parameter-free shortcut: every second pixel, new channels filled with zeros on both sides."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.before = new_channels // 2
        self.after = new_channels - self.before
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the next stage's width and size, (images, channels, height, width)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, and the shortcut around them."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        same = stride == 1 and in_channels == channels
        self.shortcut = nn.Identity() if same else SubsampleShortcut(channels - in_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's maps, (images, channels, height, width)."""
        inner = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """ResNet for CIFAR with timm's interface: `forward_features`, `forward_head`, `get_classifier`, `reset_classifier`.

    Parameters
    ----------
    depth : int
        6 n + 2 layers: 20, 32, 44, 56, 110.
    num_classes : int
        Outputs of the linear classifier; 0 leaves the pooled features.
    in_chans : int
        Channels of the image.
    global_pool : str
        "avg", or "" for feature maps.
    """

    def __init__(self, depth: int = 20, num_classes: int = 10, in_chans: int = 3, global_pool: str = "avg") -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_features = self.head_hidden_size = _STAGE_WIDTHS[-1]
        self.global_pool = global_pool
        self.grad_checkpointing = False
        self.conv1 = nn.Conv2d(in_chans, _STAGE_WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STAGE_WIDTHS[0])
        blocks = (depth - 2) // 6
        width = _STAGE_WIDTHS[0]
        self.layer1 = _stage(width, _STAGE_WIDTHS[0], blocks, stride=1)
        self.layer2 = _stage(_STAGE_WIDTHS[0], _STAGE_WIDTHS[1], blocks, stride=2)
        self.layer3 = _stage(_STAGE_WIDTHS[1], _STAGE_WIDTHS[2], blocks, stride=2)
        self.linear = _classifier(self.num_features, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last stage's maps, (images, 64, height / 4, width / 4)."""
        x = F.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x)))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool the maps; classify unless the pooled features (images, 64) are asked for."""
        if self.global_pool:
            x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        return x if pre_logits else self.linear(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (images, classes)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Return the linear classifier."""
        return self.linear

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a fresh classifier on top."""
        if global_pool is not None:
            self.global_pool = global_pool
        self.num_classes = num_classes
        self.linear = _classifier(self.num_features, num_classes)


def _classifier(width: int, num_classes: int) -> nn.Module:
    return nn.Linear(width, num_classes) if num_classes else nn.Identity()


def _stage(in_channels: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(in_channels, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1)))


def _cfg() -> dict[str, Any]:
    return {
        "num_classes": 10,
        "input_size": (3, 32, 32),
        "pool_size": (8, 8),
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "first_conv": "conv1",
        "classifier": "linear",
    }


default_cfgs = generate_default_cfgs({f"cifar_resnet{depth}.untrained": _cfg() for depth in (20, 32, 44, 56, 110)})


def _create(variant: str, depth: int, pretrained: bool, **kwargs: Any) -> CifarResNet:
    return build_model_with_cfg(CifarResNet, variant, pretrained, depth=depth, **kwargs)  # type: ignore[return-value]


@register_model
def cifar_resnet20(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-20 for CIFAR: 0.27 M parameters."""
    return _create("cifar_resnet20", 20, pretrained, **kwargs)


@register_model
def cifar_resnet32(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-32 for CIFAR: 0.46 M parameters."""
    return _create("cifar_resnet32", 32, pretrained, **kwargs)


@register_model
def cifar_resnet44(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-44 for CIFAR: 0.66 M parameters."""
    return _create("cifar_resnet44", 44, pretrained, **kwargs)


@register_model
def cifar_resnet56(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-56 for CIFAR: 0.85 M parameters."""
    return _create("cifar_resnet56", 56, pretrained, **kwargs)


@register_model
def cifar_resnet110(pretrained: bool = False, **kwargs: Any) -> CifarResNet:
    """ResNet-110 for CIFAR: 1.7 M parameters."""
    return _create("cifar_resnet110", 110, pretrained, **kwargs)
