"""Attention heads: one more kind of inner width, whose channels are whole heads."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ncapps.compression.gate import TOLERANCE, relative_errors
from ncapps.compression.macs import module_macs
from ncapps.compression.widths import InnerWidth, tied_layers

_logger = logging.getLogger(__name__)
# What a forward raises that does not follow the number of heads, or has more tensors of that size.
_CUT_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError)
PRICE = 10.0
"""How often a lost head counts: what reads other widths is refined, and mends far more than the reader alone; found on
two small ViTs, where 1 and 3 took heads too early."""
_COUNTS = ("num_heads", "num_kv_heads")
_SIZES = ("attn_dim", "kv_dim")


@dataclass(frozen=True, kw_only=True)
class HeadWidth(InnerWidth):
    """The heads of one attention module; `channels` is their number.

    The producer is the module's linear layer `qkv`, whose outputs are the queries of all heads, then the keys, then
    the values; the consumer is its linear layer `proj`, which reads the heads one after another. A head keeps its
    size, and with it the scale of its scores and the norms of its queries and keys.

    Attributes
    ----------
    head_dim : int
        The size of a head.
    """

    head_dim: int

    @property
    def attention(self) -> str:
        """Name of the attention module."""
        return self.producer.rpartition(".")[0]

    @property
    def costly(self) -> tuple[str, ...]:
        """Names of the modules whose cost falls with the heads: the products of scores and values are the module's."""
        return (*super().costly, self.attention)

    @property
    def refinable(self) -> bool:
        """Whether the producer is refined through what lies between: scores are no function of one token."""
        return False

    @property
    def price(self) -> float:
        """By what a loss counts more than elsewhere when a target is shared out."""
        return PRICE

    def outputs(self, channels: Sequence[int]) -> list[int]:
        """Return the rows of `qkv` that write the queries, keys and values of these heads."""
        size = self.channels * self.head_dim
        return [part * size + place for part in range(3) for place in self.inputs(channels)]

    def inputs(self, channels: Sequence[int]) -> list[int]:
        """Return the columns of `proj` that read these heads."""
        return [head * self.head_dim + place for head in sorted(channels) for place in range(self.head_dim)]

    def rows(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight of `qkv` as one row a head."""
        return weight.reshape(3, self.channels, -1).transpose(0, 1).reshape(self.channels, -1)

    def activity(self, means: np.ndarray) -> np.ndarray:
        """Return the norm of each head's mean output, (images, heads)."""
        return np.linalg.norm(means, axis=2)

    def resize(self, model: nn.Module, count: int) -> None:
        """Set the number of heads, and what follows from it."""
        module: Any = model.get_submodule(self.attention)
        for names, size in ((_COUNTS, 1), (_SIZES, self.head_dim)):
            for name in names:
                if getattr(module, name, None) == self.channels * size:
                    setattr(module, name, count * size)


def find_heads(model: nn.Module, example: torch.Tensor) -> tuple[HeadWidth, ...]:
    """Return the attention modules of a network whose heads can be cut exactly, in the order of their names.

    These are modules with linear layers `qkv` and `proj` and a number `num_heads`, over the tokens of whole images:
    timm's attention of ViT, DeiT, DeiT III, DINOv2, CLIP, SigLIP, CrossViT and PiT, and what is built like it. One of
    each kind of module is tried: with every other head cut, the network has to be the dense one that ignores these
    heads. Not supported, so that all heads are left, are queries, keys and values from separate layers; attention over
    windows (Swin); tables, gates, temperatures or norms with a part for each head (relative positions, XCiT); and
    modules that take the width of their heads from that of the stream (BEiT, EVA, DINOv3, CaiT).

    Parameters
    ----------
    model : nn.Module
        The network in evaluation mode; it is not changed.
    example : Tensor
        A batch that the network accepts, on its device.

    Examples
    --------
    >>> import timm
    >>> model = timm.create_model("vit_tiny_patch16_224", embed_dim=48, num_heads=4, depth=2, img_size=32).eval()
    >>> [(heads.attention, heads.channels, heads.head_dim) for heads in find_heads(model, torch.randn(2, 3, 32, 32))]
    [('blocks.0.attn', 4, 12), ('blocks.1.attn', 4, 12)]
    """
    tied = tied_layers(model)
    found = [_heads_of(name, module) for name, module in model.named_modules()]
    whole = [heads for heads in found if heads is not None and not tied.intersection(heads.costly)]
    by_kind: dict[tuple[str, int, str], list[HeadWidth]] = {}
    for heads in _over_images(model, whole, example):
        module = model.get_submodule(heads.attention)
        shapes = [tuple(tensor.shape) for tensor in module.parameters()]
        by_kind.setdefault((str(module), heads.channels, str(shapes)), []).append(heads)
    passed = {heads for kind in by_kind.values() if _is_exact(model, kind[0], example) for heads in kind}
    for heads in whole:
        if heads not in passed:
            _logger.info("%s keeps all its heads: their removal is not exact, or not supported", heads.attention)
    return tuple(heads for heads in whole if heads in passed)


def attention_macs(model: nn.Module, example: torch.Tensor, widths: Sequence[InnerWidth]) -> dict[str, float]:
    """Return the multiply-accumulates an image of the products with scores, by the name of the attention module.

    They are what the module costs beyond its two linear layers.
    """
    heads = [width for width in widths if isinstance(width, HeadWidth)]
    macs = module_macs(model, example) if heads else {}
    return {one.attention: macs[one.attention] - macs[one.producer] - macs[one.consumer] for one in heads}


def _heads_of(name: str, module: Any) -> HeadWidth | None:
    qkv, proj, count = (getattr(module, attribute, None) for attribute in ("qkv", "proj", "num_heads"))
    # Exact types: a subclass may scale or standardise its weight.
    if type(qkv) is not nn.Linear or type(proj) is not nn.Linear or not isinstance(count, int) or count < 2:
        return None
    if qkv.out_features != 3 * proj.in_features or proj.in_features % count:
        return None
    before = f"{name}." if name else ""
    return HeadWidth(
        producer=f"{before}qkv",
        coupled=(),
        consumer=f"{before}proj",
        channels=count,
        head_dim=proj.in_features // count,
    )


def _over_images(model: nn.Module, widths: Sequence[HeadWidth], example: torch.Tensor) -> list[HeadWidth]:
    """Return those whose layers run once, on one row of tokens for each image."""
    seen: Counter[str] = Counter()

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            seen[name] += 1 if output.ndim == 3 and len(output) == len(example) else 2

        return hook

    layers = [name for width in widths for name in (width.producer, width.consumer)]
    handles = [model.get_submodule(name).register_forward_hook(note(name)) for name in layers]
    try:
        with torch.no_grad():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return [width for width in widths if seen[width.producer] == seen[width.consumer] == 1]


def _is_exact(model: nn.Module, heads: HeadWidth, example: torch.Tensor) -> bool:
    try:
        errors = relative_errors(model, [heads], [list(range(0, heads.channels, 2))], example)
    except _CUT_ERRORS as error:
        _logger.debug("%s does not run with fewer heads: %s", heads.attention, error)
        return False
    return max(errors) < TOLERANCE
