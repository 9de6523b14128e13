"""Laws of compress: targets are met, the model is untouched, repair repairs, every mistake gets one clear line."""

import copy
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import IMPORTANCES, compress, count_macs, load_compressed
from ncapps.errors import InputError


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Smooth random images: neighbouring pixels say nearly the same, as in photographs."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(96, 3, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, size=16, mode="bilinear") + 0.1 * torch.randn(
        96, 3, 16, 16, generator=generator
    )


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return randomise_norms(TinyResNet()).eval()


@pytest.fixture(scope="module")
def halved(model, images):
    return compress(model, images, macs=0.5, progress=False)


def test_the_target_is_met_closely_and_by_an_independent_count(model, images, halved):
    small, dense = (count_macs(net, images[:1]) for net in (halved.model, model))
    assert small == halved.report.macs_after
    assert dense == halved.report.macs_before
    assert 0.48 < small / dense <= 0.5


@pytest.mark.parametrize("macs", [0.9, 0.7, 0.3])
def test_other_targets_are_met(model, images, macs):
    ratio = compress(model, images[:32], macs=macs, repair=False, progress=False).report.macs_ratio
    assert macs - 0.03 < ratio <= macs


def test_the_model_is_untouched(images):
    model = randomise_norms(TinyResNet()).train()
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    compress(model, images, macs=0.5, progress=False)
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(state, torch.get_rng_state())


def test_layers_really_shrink_and_streams_keep_their_width(model, halved):
    modules = dict(halved.model.named_modules())
    shrunk = [width for width in halved.plan.widths if len(width.kept) < width.channels]
    assert shrunk
    for width in shrunk:
        assert modules[width.producer].weight.shape[0] == modules[width.producer].out_channels == len(width.kept)
        assert modules[width.consumer].weight.shape[1] == modules[width.consumer].in_channels == len(width.kept)
    assert modules["head"].in_features == model.head.in_features
    assert halved.report.params_after < halved.report.params_before


def test_cutting_alone_equals_the_dense_network_with_those_inputs_ignored(model, images):
    cut = compress(model, images, macs=0.5, repair=False, progress=False)
    reference = copy.deepcopy(model)
    for width in cut.plan.widths:
        gone = sorted(set(range(width.channels)) - set(width.kept))
        reference.get_submodule(width.consumer).weight.data[:, gone] = 0
    with torch.no_grad():
        expected, got, dense = reference(images), cut.model(images), model(images)
    assert (got - expected).norm() < 1e-5 * expected.norm()
    assert (expected - dense).norm() > 0.05 * dense.norm(), "the cut must matter, or this shows nothing"


@pytest.mark.parametrize("importance", ["obs", "l1"])
def test_repair_beats_no_repair_on_new_images(model, images, importance):
    generator = torch.Generator().manual_seed(7)
    new = nn.functional.interpolate(torch.randn(64, 3, 4, 4, generator=generator), size=16, mode="bilinear")
    with torch.no_grad():
        dense = model(new)
        errors = [
            float((compress(model, images, importance=importance, repair=r, progress=False).model(new) - dense).norm())
            for r in (True, False)
        ]
    assert errors[0] < 0.5 * errors[1]


def test_a_width_with_spare_copies_is_cut_for_nothing(images):
    """Two channels that always say the same are one: the other is dropped, and repair gives back the very function."""
    model = randomise_norms(TinyResNet(blocks=1)).eval()
    block = model.blocks[0]
    with torch.no_grad():
        for layer in (block.conv1, block.bn1):
            for tensor in layer.state_dict().values():
                if tensor.ndim:
                    tensor[8:] = tensor[:8]
        small = compress(model, images, macs=0.6, progress=False)
        dense = model(images)
        # One of the eight may be nearly silent behind its ReLU, and then goes before the last spare copy.
        assert len({channel % 8 for channel in small.plan.widths[0].kept}) >= 7
        assert len(small.plan.widths[0].kept) < 12
        assert (small.model(images) - dense).norm() < 0.02 * dense.norm()


def test_the_order_of_the_images_does_not_matter(model, images, halved):
    shuffled = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(3))]
    assert compress(model, shuffled, macs=0.5, progress=False).plan == halved.plan


def test_batches_and_pairs_are_as_good_as_one_tensor(model, images, halved):
    pairs = [(batch, torch.arange(len(batch))) for batch in images.split(40)]
    again = compress(model, iter(pairs), macs=0.5, progress=False)
    assert again.plan == halved.plan
    assert again.report.images == len(images)


def test_a_seed_repeats_and_another_differs(model, images):
    plans = [
        compress(model, images, importance="random", seed=seed, repair=False, calibration=48, progress=False).plan
        for seed in (1, 1, 2)
    ]
    assert plans[0] == plans[1]
    assert plans[0].widths != plans[2].widths


@pytest.mark.parametrize("importance", sorted(IMPORTANCES))
def test_every_importance_meets_the_target(model, images, importance):
    labels = [f"class {i % 3}" for i in range(len(images))]
    small = compress(model, images, labels, importance=importance, progress=False)
    assert small.report.macs_ratio <= 0.5
    assert small.plan.importance == importance


def test_fisher_drops_the_channels_that_do_not_tell_classes_apart(images):
    model = randomise_norms(TinyResNet(blocks=1)).eval()
    block = model.blocks[0]
    with torch.no_grad():
        bright = images + 3.0 * (torch.arange(len(images)) % 2)[:, None, None, None]
        # The first eight inner channels are constant: no class signal at all.
        block.bn1.weight[:8] = 1e-4
        block.bn1.bias[:8] = 1.0
    small = compress(model, bright, torch.arange(len(images)) % 2, importance="fisher", macs=0.75, progress=False)
    assert not set(small.plan.widths[0].kept) & set(range(8)) or len(small.plan.widths[0].kept) > 8


def test_held_out_images_are_reported(model, images):
    labels = model(images).argmax(dim=1)
    report = compress(model, images, held_out=(images, labels), progress=False).report
    assert report.held_out_accuracy_before == 1.0
    assert report.held_out_accuracy_after == report.held_out_agreement == report.agreement


def test_plan_is_plain_data(halved):
    assert json.loads(json.dumps(asdict(halved.plan)))["macs_after"] == halved.report.macs_after


def test_a_layer_used_twice_or_tied_is_left_alone(images):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
            self.c, self.d = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            x = x + self.b(self.a(x).relu())
            x = x + self.b(self.a(x).relu())
            return (x + self.d(self.c(x).relu())).mean((2, 3))

    small = compress(Twice(), images, macs=0.97, progress=False)
    assert [width.producer for width in small.plan.widths] == ["c"]


def test_importing_and_loading_need_no_torch_pruning(tmp_path, halved):
    halved.save(tmp_path / "small.safetensors")
    code = (
        "import sys; sys.modules['torch_pruning'] = None; sys.path.insert(0, sys.argv[2])\n"
        "from compression_nets import TinyResNet\n"
        "import ncapps.compression as c\n"
        "print(c.load_compressed(sys.argv[1], TinyResNet()).report.macs_after)"
    )
    tests = str(Path(__file__).parents[1])
    arguments = [sys.executable, "-c", code, str(tmp_path / "small.safetensors"), tests]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == halved.report.macs_after


class _Mixing(nn.Module):
    """One layer only: there is no inner width."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).mean((2, 3))


class _Endless(_Mixing):
    """Hangs as soon as autograd is on, as a trace may."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while torch.is_grad_enabled():
            pass
        return super().forward(x)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"macs": 0.0}, "between 0 and 1, but 0.0 came"),
        ({"macs": 1.0}, "between 0 and 1, but 1.0 came"),
        ({"macs": float("nan")}, "between 0 and 1, but nan came"),
        ({"macs": 0.05}, r"macs=0.05 is out of reach: .* ask for macs=0\.\d+ or more"),
        ({"images": torch.zeros(0, 3, 16, 16)}, "there are no images: 0 came"),
        ({"images": []}, "no calibration images"),
        ({"images": torch.zeros(3, 16, 16)}, r"shape \(images, channels, height, width\).*images\[None\]"),
        ({"images": torch.zeros(4, 3, 16, 16, dtype=torch.uint8)}, "must be floats.*uint8"),
        ({"images": torch.full((4, 3, 16, 16), float("nan"))}, "NaN or infinity in 4 of 4 images"),
        ({"importance": "magic"}, "'magic' is unknown; there are fisher, l1, obs, random, wanda, tp_l1"),
        ({"importance": "fisher"}, '"fisher" needs the labels of the calibration images'),
        ({"importance": "fisher", "labels": ["a"] * 96}, "two classes or more"),
        ({"labels": [0, 1]}, "96 images came with 2 labels"),
        ({"calibration": 0}, "calibration and batch_size must be 1 or more"),
        ({"model": _Mixing()}, "_Mixing has no inner width that can be cut exactly"),
        ({"model": _Endless(), "time_limit": 0.2}, r"did not finish tracing _Endless within 0\.2 s"),
        ({"model": TinyResNet().half()}, r"float32 networks, .*float16; call model.float\(\) first"),
        ({"model": "resnet18"}, "must be a torch network"),
    ],
)
def test_mistakes_get_one_clear_line(model, images, change, words):
    arguments = {"model": model, "images": images, "progress": False} | change
    with pytest.raises(InputError, match=words) as caught:
        compress(arguments.pop("model"), arguments.pop("images"), **arguments)
    assert "\n" not in str(caught.value)


def test_activations_that_overflow_are_refused_and_the_model_is_untouched(model, images):
    broken = copy.deepcopy(model)
    broken.blocks[0].conv1.weight.data[0] = float("inf")
    before = copy.deepcopy(broken.state_dict())
    with pytest.raises(InputError, match="not finite|no inner width"):
        compress(broken, images, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), broken.state_dict().values(), strict=True))


def test_another_network_at_load_is_refused(tmp_path, halved):
    halved.save(tmp_path / "small.safetensors")
    with pytest.raises(InputError, match="made from another network: head.bias has the shape"):
        load_compressed(tmp_path / "small.safetensors", TinyResNet(classes=7))


def test_a_damaged_file_is_refused(tmp_path, halved):
    path = tmp_path / "small.safetensors"
    halved.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        load_compressed(path, TinyResNet())
    with pytest.raises(InputError, match="does not exist"):
        load_compressed(tmp_path / "none.safetensors", TinyResNet())
    assert [file.name for file in tmp_path.iterdir()] == ["small.safetensors"]
