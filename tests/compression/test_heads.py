"""Attention heads as inner widths: cut exactly, whole, counted, chosen by what their removal costs, and read back."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from compression_nets import TinyResNet, randomise_norms
from timm.layers import Attention
from torch import nn

from ncapps import persist
from ncapps.compression import compress, compress_front, count_macs, load_compressed
from ncapps.compression.calibration import gather
from ncapps.compression.elimination import eliminate
from ncapps.compression.gate import TOLERANCE, relative_errors
from ncapps.compression.heads import HeadWidth, attention_macs, find_heads
from ncapps.compression.preparation import Preparation, prepare
from ncapps.compression.result import KIND, VERSION
from ncapps.compression.surgery import shrunk_copy, zeroed_copy
from ncapps.errors import InputError

SMALL = {"img_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 4}
# Fused or not, with norms of queries and keys, with and without bias, with registers, with an attention pool.
FAMILIES = {
    "vit_tiny_patch16_224": {**SMALL, "patch_size": 8},
    "vit_base_patch16_siglip_224": {**SMALL, "patch_size": 8},
    "deit3_small_patch16_224": {**SMALL, "qk_norm": True},
    "deit_tiny_distilled_patch16_224": {**SMALL, "qkv_bias": False},
    "vit_small_patch14_reg4_dinov2": {**SMALL, "img_size": 28},
}
LEFT_WHOLE = {
    "beit_base_patch16_224": SMALL,
    "vit_relpos_small_patch16_224": SMALL,
    "eva02_tiny_patch14_224": {**SMALL, "img_size": 28},
    "swin_tiny_patch4_window7_224": {"img_size": 56, "embed_dim": 24, "depths": (1, 1)},
    "xcit_nano_12_p16_224": SMALL,
}
MIXED = "vit_tiny_patch16_224"


def build(name: str) -> nn.Module:
    with torch.random.fork_rng():
        return randomise_norms(timm.create_model(name, num_classes=5, **(FAMILIES | LEFT_WHOLE)[name])).eval()


def images(name: str = MIXED, count: int = 2) -> torch.Tensor:
    side = (FAMILIES | LEFT_WHOLE)[name]["img_size"]
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def prepared(model: nn.Module, count: int = 24) -> Preparation:
    chosen = gather(images(count=count), None, limit=count, batch_size=8, seed=0)
    return prepare(model, chosen, example=None, time_limit=60, progress=False, heads=True)


def heads_only(ready: Preparation) -> list[int]:
    return [place for place, width in enumerate(ready.probe.widths) if isinstance(width, HeadWidth)]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("fused", [True, False])
def test_losing_any_heads_is_ignoring_them(name, fused):
    model, batch = build(name), images(name)
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused
    widths = find_heads(model, batch)
    assert [(one.attention, one.channels, one.head_dim) for one in widths] == [
        ("blocks.0.attn", 4, 12),
        ("blocks.1.attn", 4, 12),
    ]
    for kept in ([[0, 2], [1, 2, 3]], [[3], [0]], [[2, 1], [0, 1, 2, 3]]):
        assert max(relative_errors(model, widths, kept, batch)) < TOLERANCE
    with torch.no_grad():
        whole, other = model(batch), zeroed_copy(model, widths, [[0, 2], [0, 2]])(batch)
    assert (whole - other).norm() > 1e-3 * whole.norm(), "heads must matter, or the law is empty"


def test_another_head_than_the_one_ignored_is_seen():
    model, batch = build(MIXED), images()
    width = find_heads(model, batch)[0]
    with torch.no_grad():
        first = shrunk_copy(model, [width], [[0, 1]])(batch)
        last = zeroed_copy(model, [width], [[0, 2]])(batch)
    assert (first - last).norm() > 1e-3 * first.norm()


@pytest.mark.parametrize("name", LEFT_WHOLE)
def test_heads_that_cannot_be_cut_exactly_are_left_whole(name):
    model, batch = build(name), images(name)
    before = copy.deepcopy(model.state_dict())
    assert find_heads(model, batch) == ()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_networks_without_attention_have_no_heads():
    assert find_heads(TinyResNet().eval(), images()) == ()


def test_one_layer_for_two_attentions_is_left_alone():
    model = build(MIXED)
    model.blocks[1].attn.qkv = model.blocks[0].attn.qkv
    assert find_heads(model, images()) == ()


def test_a_module_that_scales_by_its_number_of_heads_fails_the_gate():
    model, batch = build(MIXED), images()

    def scaled(module: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        return output * module.num_heads

    model.blocks[0].attn.register_forward_hook(scaled)
    model.blocks[0].attn.proj.register_forward_pre_hook(
        lambda module, inputs: (inputs[0] / model.blocks[0].attn.num_heads,)
    )
    widths = find_heads(model, batch)
    assert "blocks.0.attn" not in {one.attention for one in widths}


def test_the_attributes_follow_and_the_scale_stays():
    model, batch = build(MIXED), images()
    widths = find_heads(model, batch)
    small = shrunk_copy(model, widths, [[1], [0, 2, 3]])
    for block, dense, count in zip(small.blocks, model.blocks, (1, 3), strict=True):
        attention = block.attn
        assert (attention.num_heads, attention.attn_dim, attention.head_dim) == (count, 12 * count, 12)
        assert attention.scale == dense.attn.scale
        assert attention.qkv.weight.shape == (36 * count, 48)
        assert (attention.qkv.out_features, attention.proj.in_features) == (36 * count, 12 * count)
    rows = model.blocks[0].attn.qkv.weight.reshape(3, 4, 12, 48)[:, 1].reshape(36, 48)
    assert torch.equal(small.blocks[0].attn.qkv.weight, rows)


def test_the_cost_model_counts_layers_and_products():
    ready = prepared(build(MIXED))
    kept = [list(range(1 + place % 3)) for place, _ in enumerate(ready.probe.widths)]
    small = shrunk_copy(ready.dense, ready.probe.widths, kept)
    counts = [len(one) for one in kept]
    assert ready.cost("macs")(counts) == pytest.approx(count_macs(small, ready.example))
    params = sum(parameter.numel() for parameter in small.parameters())
    assert ready.cost("params")(counts) == pytest.approx(params, rel=0.02), "all but the readers' biases"


def test_a_head_that_nobody_reads_goes_first_and_costs_nothing():
    model = build(MIXED)
    with torch.no_grad():
        model.blocks[1].attn.proj.weight[:, 24:36] = 0
    ready = prepared(model)
    place = next(i for i in heads_only(ready) if ready.probe.widths[i].consumer == "blocks.1.attn.proj")
    assert ready.moments[place].taps == 12
    for importance in ("obs", "wanda"):
        ranking = ready.rank(importance, 0)[place]
        assert ranking.order[0] == 2
        assert ranking.losses[1] == 0.0
        assert (np.diff(ranking.losses[1:]) > 0).all()
        assert len(ranking.order) == 3, "one head is left"


def test_each_head_costs_what_least_squares_without_it_leaves():
    ready = prepared(build(MIXED), count=48)
    moments = ready.moments[heads_only(ready)[0]]
    for head in range(4):
        gone = set(range(12 * head, 12 * head + 12))
        left = [place for place in range(49) if place not in gone]
        inner = moments.gram[left][:, left]
        rebuilt = torch.linalg.lstsq(inner, moments.gram[left] @ moments.weight, driver="gelsd").solution
        full = moments.weight.clone()
        full[left] -= rebuilt
        error = float((full * (moments.gram @ full)).sum())
        order = [head, *(other for other in range(4) if other != head)]
        assert eliminate(moments, order, ridge=1e-9).losses[1] == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("importance", ["l1", "wanda", "random", "fisher"])
def test_every_importance_ranks_heads(importance):
    labels = [i % 2 for i in range(16)]
    small = compress(build(MIXED), images(count=16), labels, macs=0.6, importance=importance, progress=False)
    heads = [width for width in small.plan.widths if width.head_dim]
    assert len(heads) == 2
    assert all(1 <= len(width.kept) <= 4 for width in heads)


def test_l1_weighs_queries_keys_and_values_of_a_head():
    model = build(MIXED)
    weight = model.blocks[0].attn.qkv.weight
    with torch.no_grad():
        weight.copy_(torch.ones_like(weight))
        weight.reshape(3, 4, 12, 48)[1, 3] = 0.5
    ready = prepared(model)
    assert ready.rank("l1", 0)[heads_only(ready)[0]].order[0] == 3


def test_heads_shrink_and_the_repair_refits_their_reader():
    model, batch = build(MIXED), images(count=64)
    small = compress(model, batch, macs=0.4, progress=False)
    raw = compress(model, batch, macs=0.4, repair=False, progress=False)
    assert small.report.macs_ratio <= 0.4
    heads = [width for width in small.plan.widths if width.head_dim]
    assert any(len(width.kept) < 4 for width in heads)
    for width in heads:
        attention = small.model.get_submodule(width.producer.removesuffix(".qkv"))
        assert attention.num_heads == len(width.kept) == small.report.widths_after[width.producer]
    with torch.no_grad():
        dense = model(batch)
        assert (small.model(batch) - dense).norm() < 0.8 * (raw.model(batch) - dense).norm()


def test_heads_are_left_on_request_and_by_torch_pruning():
    model, batch = build(MIXED), images(count=8)
    for settings in ({"heads": False}, {"importance": "tp_l2"}):
        small = compress(model, batch, macs=0.8, progress=False, **settings)
        assert not any(width.head_dim for width in small.plan.widths)
        assert small.model.blocks[0].attn.num_heads == 4
    front = compress_front(model, batch, macs=(0.8,), heads=False, progress=False)
    assert not any(width.head_dim for width in front[0].plan.widths)
    with pytest.raises(InputError, match="heads"):
        prepared(model, 8).rank("tp_l2", 0)


def test_a_damaged_head_size_is_refused(tmp_path):
    small = compress(build(MIXED), images(count=16), macs=0.5, progress=False)
    place = next(i for i, width in enumerate(small.plan.widths) if width.head_dim)
    for damage in ({"head_dim": 6}, {"head_dim": "12"}, {"head_dim": None}, {"producer": "nowhere.qkv"}):
        widths = list(small.plan.widths)
        widths[place] = replace(widths[place], **damage)
        replace(small, plan=replace(small.plan, widths=tuple(widths))).save(tmp_path / "damaged")
        with pytest.raises(InputError, match="damaged"):
            load_compressed(tmp_path / "damaged", build(MIXED))


def test_a_saved_network_is_read_back_bit_for_bit(tmp_path):
    small = compress(build(MIXED), images(count=16), macs=0.4, progress=False)
    assert any(len(width.kept) < 4 for width in small.plan.widths if width.head_dim)
    small.save(tmp_path / "small")
    again = load_compressed(tmp_path / "small", build(MIXED))
    with torch.no_grad():
        assert torch.equal(again.model(images()), small.model(images()))
    assert again.plan == small.plan
    assert [block.attn.num_heads for block in again.model.blocks] == [b.attn.num_heads for b in small.model.blocks]


def test_a_file_from_before_heads_were_cut_is_read(tmp_path):
    small = compress(build(MIXED), images(count=16), macs=0.8, heads=False, progress=False)
    small.save(tmp_path / "small")
    arrays, header = persist.load(tmp_path / "small", KIND, VERSION)
    for width in header["plan"]["widths"]:
        del width["head_dim"]
    persist.save(tmp_path / "old", KIND, VERSION, arrays, header)
    again = load_compressed(tmp_path / "old", build(MIXED))
    with torch.no_grad():
        assert torch.equal(again.model(images()), small.model(images()))


def test_an_attention_module_alone_is_a_network_too():
    with torch.random.fork_rng():
        model, batch = Attention(48, num_heads=4, qkv_bias=True).eval(), torch.randn(2, 7, 48)
    (width,) = find_heads(model, batch)
    assert (width.attention, width.producer, width.consumer) == ("", "qkv", "proj")
    small = shrunk_copy(model, [width], [[3]])
    assert small.num_heads == 1
    # Scores and values: two products of 7 x 7 tokens in 12 dimensions, for each of four heads.
    assert attention_macs(model, batch, [width]) == {"": 4 * 2 * 7 * 7 * 12}
    assert attention_macs(small, batch, [width]) == {"": 2 * 7 * 7 * 12}
