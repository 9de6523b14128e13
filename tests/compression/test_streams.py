"""Residual streams as inner widths of many layers: cut exactly, counted, ranked by all readers, repaired, read back."""

import copy
from dataclasses import replace

import pytest
import timm
import torch
from compression_moments import moments_of
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import compress, count_macs, load_compressed
from ncapps.compression.calibration import gather
from ncapps.compression.elimination import eliminate
from ncapps.compression.gate import TOLERANCE, relative_errors
from ncapps.compression.preparation import Preparation, prepare
from ncapps.compression.stream_moments import join_readers
from ncapps.compression.streams import StreamWidth, find_streams
from ncapps.compression.surgery import shrunk_copy, zeroed_copy
from ncapps.errors import InputError

FAMILIES = {
    "resnet18": {"channels": (8, 8, 16, 16), "stem_type": "deep", "stem_width": 4},
    "resnet50": {"channels": (8, 8, 16, 16), "layers": (1, 1, 1, 1)},
    "mobilenetv2_035": {"depth_multiplier": 0.4},
    "test_efficientnet": {},
}
IMAGES = torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1))
RESNET = "resnet18"


def build(name: str) -> nn.Module:
    with torch.random.fork_rng():
        return randomise_norms(timm.create_model(name, num_classes=5, **FAMILIES[name])).eval()


def prepared(model: nn.Module) -> Preparation:
    chosen = gather(IMAGES, None, limit=24, batch_size=8, seed=0)
    return prepare(model, chosen, example=None, time_limit=60, progress=False, streams=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_losing_channels_of_all_streams_is_ignoring_them(name):
    model, batch = build(name), IMAGES[:2]
    streams = find_streams(model, batch)
    assert len(streams) >= 2
    assert all(len(stream.producers) + len(stream.consumers) > 2 for stream in streams)
    kept = [list(range(1, stream.channels, 3)) for stream in streams]
    assert max(relative_errors(model, streams, kept, batch)) < TOLERANCE
    with torch.no_grad():
        whole, other = model(batch), zeroed_copy(model, streams, kept)(batch)
    assert (whole - other).norm() > 1e-4 * whole.norm(), "streams must matter, or the law is empty"


@pytest.mark.parametrize("name", FAMILIES)
def test_together_with_inner_widths_they_are_cut_exactly_and_counted(name):
    ready = prepared(build(name))
    assert any(width.is_stream for width in ready.probe.widths)
    kept = [list(range(0, width.channels, 2)) for width in ready.probe.widths]
    small = ready.cut(kept)
    assert ready.cost("macs")([len(one) for one in kept]) == pytest.approx(count_macs(small, ready.example))


def test_what_the_classifier_reads_keeps_its_width():
    model = build(RESNET)
    read = {name for stream in find_streams(model, IMAGES[:2]) for name in stream.consumers}
    assert "fc" in read
    ready = prepared(model)
    assert not any("fc" in width.consumers for width in ready.probe.widths)
    small = compress(model, IMAGES, macs=0.6, streams=True, progress=False).model
    with torch.no_grad():
        assert small.forward_features(IMAGES).shape == model.forward_features(IMAGES).shape


def test_all_layers_of_a_stream_shrink():
    model = build(RESNET)
    stream = next(one for one in find_streams(model, IMAGES[:2]) if one.producer == "layer2.0.conv2")
    assert set(stream.producers) == {"layer2.0.conv2", "layer2.0.downsample.0", "layer2.1.conv2"}
    assert set(stream.consumers) == {"layer2.1.conv1", "layer3.0.conv1", "layer3.0.downsample.0"}
    small = shrunk_copy(model, [stream], [[1, 2, 5]])
    assert all(small.get_submodule(name).out_channels == 3 for name in stream.producers)
    assert all(small.get_submodule(name).in_channels == 3 for name in stream.consumers)
    assert all(small.get_submodule(name).num_features == 3 for name in stream.coupled)


def test_a_network_without_projections_has_one_stream_that_the_classifier_reads():
    (stream,) = find_streams(randomise_norms(TinyResNet()).eval(), IMAGES[:2])
    assert (len(stream.producers), len(stream.consumers)) == (4, 4)
    assert stream.consumer == "head"


def test_the_losses_of_joined_readers_are_the_sums_of_theirs():
    generator = torch.Generator().manual_seed(0)

    def part(taps: int, outputs: int, size: float) -> dict:
        inputs = size * torch.randn(300, 4 * taps, generator=generator, dtype=torch.float64) + size
        return {
            "inputs": inputs.numpy(),
            "weight": torch.randn(4 * taps, outputs, generator=generator).double().numpy(),
        }

    width = StreamWidth(
        producer="a", coupled=(), consumer="c", channels=4, further_producers=(), further_consumers=("b",)
    )
    parts = [
        moments_of(**part(taps, outputs, size), taps=taps, energy=energy, width=width)
        for taps, outputs, size, energy in ((1, 3, 1.0, 2.0), (2, 5, 30.0, 7.0))
    ]
    joined = join_readers(parts, most_inputs=10**6)
    assert joined.gram.shape == (13, 13)
    for order in ((2, 0, 1), (3, 1, 0)):
        own = [eliminate(one, order, ridge=1e-10).losses / one.energy for one in parts]
        assert eliminate(joined, order, ridge=1e-10).losses == pytest.approx(own[0] + own[1], rel=1e-4)
    fewer = join_readers(parts, most_inputs=8)
    assert fewer.taps == 1
    twice = 2 * eliminate(parts[0], (2, 0, 1), ridge=1e-10).losses / parts[0].energy
    assert eliminate(fewer, (2, 0, 1), ridge=1e-10).losses == pytest.approx(twice, rel=1e-4)


def test_a_channel_that_nobody_reads_goes_first_and_costs_nothing():
    model = build(RESNET)
    stream = next(one for one in find_streams(model, IMAGES[:2]) if one.producer == "layer2.0.conv2")
    with torch.no_grad():
        for name in stream.consumers:
            model.get_submodule(name).weight[:, 5] = 0
    ready = prepared(model)
    ranking = ready.rank("obs", 0)[ready.probe.widths.index(stream)]
    assert ranking.order[0] == 5
    assert ranking.losses[1] == 0.0


def test_the_repair_refits_streams_and_a_file_brings_them_back(tmp_path):
    model = build(RESNET)
    before = copy.deepcopy(model.state_dict())
    small = compress(model, IMAGES, macs=0.5, streams=True, progress=False)
    raw = compress(model, IMAGES, macs=0.5, streams=True, repair=False, progress=False)
    cut = [width for width in small.plan.widths if width.further_producers and len(width.kept) < width.channels]
    assert cut
    assert small.report.macs_ratio <= 0.5
    with torch.no_grad():
        dense, outputs = model(IMAGES), small.model(IMAGES)
        assert (outputs - dense).norm() < 0.5 * (raw.model(IMAGES) - dense).norm()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    small.save(tmp_path / "small")
    again = load_compressed(tmp_path / "small", build(RESNET))
    with torch.no_grad():
        assert torch.equal(again.model(IMAGES), outputs)
    assert again.plan == small.plan
    widths = [replace(width, further_consumers=("nowhere",)) for width in small.plan.widths]
    replace(small, plan=replace(small.plan, widths=tuple(widths))).save(tmp_path / "damaged")
    with pytest.raises(InputError, match="damaged"):
        load_compressed(tmp_path / "damaged", build(RESNET))


def test_streams_are_left_unless_asked_for():
    small = compress(build(RESNET), IMAGES, macs=0.85, progress=False)
    assert not any(width.further_producers or width.further_consumers for width in small.plan.widths)


def test_torch_prunings_importances_rank_streams_too():
    small = compress(build(RESNET), IMAGES, macs=0.6, streams=True, importance="tp_l2", progress=False)
    assert any(width.further_producers and len(width.kept) < width.channels for width in small.plan.widths)
