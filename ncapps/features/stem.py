"""A stem for small images: the first convolution keeps every pixel, and no pooling follows it."""

from __future__ import annotations

from torch import nn

from ncapps.errors import InputError

_POOLS = ("maxpool", "features.pool0", "stem.pool", "stem.maxpool")


def use_small_stem(model: nn.Module) -> None:
    """Change a timm network in place so that its first convolution has stride 1 (3 x 3) and no max-pooling follows.

    Raises
    ------
    InputError
        If the network has no strided convolution as its stem (ViT, Swin, Mixer, ConvNeXt cut the image into patches).
    """
    name = _first_convolution(model)
    stem = model.get_submodule(name)
    if not isinstance(stem, nn.Conv2d) or max(stem.stride) > 2 or min(stem.kernel_size) < max(stem.stride) + 1:
        raise InputError(
            f"small_stem needs a network that begins with a strided convolution, but {type(model).__name__} cuts "
            "the image into patches; use model_kwargs such as img_size=32, patch_size=4 instead"
        )
    if stem.kernel_size == (3, 3):
        stem.stride = (1, 1)
    else:
        fresh = nn.Conv2d(stem.in_channels, stem.out_channels, 3, padding=1, bias=stem.bias is not None)
        nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
        model.set_submodule(name, fresh)
    for pool in _POOLS:
        if pool in dict(model.named_modules()):
            model.set_submodule(pool, nn.Identity())


def _first_convolution(model: nn.Module) -> str:
    named = getattr(model, "pretrained_cfg", {}).get("first_conv")
    named = named[0] if isinstance(named, (tuple, list)) else named
    if named and named in dict(model.named_modules()):
        return named
    return next((name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)), "")
