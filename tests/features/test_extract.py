"""The extractor's laws: order, pairing, the ledger, invariance to batches and workers, no side effects."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ncapps.errors import InputError
from ncapps.features import Backbone, FeatureExtractor, Features, open_images
from ncapps.features.loader import choose_workers
from ncapps.features.precision import choose_device, choose_precision
from ncapps.features.runtime import Runtime, with_room

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return Backbone("cifar_resnet20", pretrained=False)


@pytest.fixture
def extractor(backbone):
    return FeatureExtractor(backbone, device="cpu", precision="float32", progress=False)


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_features_and_logits_are_the_models(extractor, backbone):
    pixels = images(5)
    features = extractor.extract(pixels, labels=list("abcab"))
    batch = backbone.preprocessing.normalise(torch.from_numpy(pixels))
    with torch.no_grad():
        expected = backbone.model.eval()(batch).numpy()
    np.testing.assert_allclose(features.logits, expected, atol=1e-4)
    np.testing.assert_allclose(extractor.head(features.values), features.logits, atol=1e-5)
    assert features.values.dtype == features.logits.dtype == np.float32
    assert features.keys == ("000000", "000001", "000002", "000003", "000004")
    assert features.labels.tolist() == list("abcab")
    assert features.classes == ("a", "b", "c")


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batch_size_and_order_do_not_matter(backbone, extractor, batch_size):
    pixels = images(10)
    expected = extractor.extract(pixels).values
    order = np.random.default_rng(1).permutation(10)
    other = FeatureExtractor(backbone, device="cpu", precision="float32", batch_size=batch_size)
    got = other.extract(open_images(pixels).select(order)).values
    np.testing.assert_allclose(got, expected[order], atol=1e-5 * np.abs(expected).max())


def test_workers_give_the_same_rows_in_the_same_order(backbone, tmp_path):
    for number, pixels in enumerate(images(23)):
        (tmp_path / str(number % 3)).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / str(number % 3) / f"{number}.png")
    state = torch.get_rng_state()
    here, there = (
        FeatureExtractor(backbone, device="cpu", precision="float32", batch_size=4, workers=n).extract(tmp_path)
        for n in (0, 2)
    )
    assert here.keys == there.keys
    np.testing.assert_array_equal(here.values, there.values)
    assert torch.equal(state, torch.get_rng_state())


def test_unreadable_images_stand_in_the_ledger_and_nowhere_else(extractor, photos, caplog):
    clean = extractor.extract(photos)
    (photos / "cat" / "00_broken.png").write_bytes(b"")
    data = (photos / "dog" / "1.jpg").read_bytes()
    (photos / "dog" / "1.jpg").write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        features = extractor.extract(photos)
    assert [skip.key for skip in features.skipped] == ["cat/00_broken.png", "dog/1.jpg"]
    assert "empty" in features.skipped[0].reason
    assert "2 of 7 images are skipped" in caplog.text
    assert "dog/1.jpg" not in features.keys
    for key, label, row in zip(features.keys, features.labels, features.values, strict=True):
        assert key.startswith(label)
        np.testing.assert_allclose(row, clean.values[clean.keys.index(key)], atol=1e-5)
    for file in photos.glob("*/*.*"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the .* images could be read; cat/.*empty"):
        extractor.extract(photos)


class Fragile(nn.Module):
    """Gives NaN for an image whose first pixel is white."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        white = torch.where(x[:, :, 0, 0] > 2, torch.nan, 0.0)
        return self.fc(x.mean((2, 3)) + white)


def test_rows_that_are_not_finite_go_to_the_ledger():
    extractor = FeatureExtractor(Fragile(), preprocessing={"size": 32}, device="cpu", precision="float32")
    pixels = images(6) // 2
    pixels[2, 0, 0] = 255
    features = extractor.extract(pixels)
    assert [skip.key for skip in features.skipped] == ["000002"]
    assert "not finite" in features.skipped[0].reason
    assert features.keys == ("000000", "000001", "000003", "000004", "000005")
    pixels[:, 0, 0] = 255
    with pytest.raises(InputError, match="NaN or infinity for all 6 images of a batch"):
        extractor.extract(pixels)


def test_the_users_module_is_left_as_it_was(backbone):
    model = backbone.model
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    FeatureExtractor(backbone, device="cpu", precision="bfloat16").extract(images(3))
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.dtype == before[name].dtype
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_changed_weight_changes_the_features():
    own = FeatureExtractor("cifar_resnet20", pretrained=False, device="cpu", precision="float32")
    first = own.extract(images(2)).values
    ready = own._runtime
    np.testing.assert_array_equal(own.extract(images(2)).values, first)
    assert own._runtime is ready
    own.backbone.model.bn1.bias.data += 1
    assert np.abs(own.extract(images(2)).values - first).max() > 1e-3


def test_bfloat16_comes_out_as_float32_and_close(backbone, extractor):
    pixels = images(8)
    exact = extractor.extract(pixels).values
    rough = FeatureExtractor(backbone, device="cpu", precision="bfloat16").extract(pixels).values
    assert rough.dtype == np.float32
    error = np.abs(rough - exact).max() / np.abs(exact).max()
    assert 0 < error < 0.05


def test_transformers_keep_their_residual_stream_in_float32():
    torch.manual_seed(0)
    backbone = Backbone("test_vit", pretrained=False)
    runtime = Runtime(backbone, CPU, "bfloat16", 8)
    assert runtime._autocasts
    assert {p.dtype for p in runtime._eager.parameters()} == {torch.float32}
    pixels = torch.zeros(2, *backbone.preprocessing.size, 3, dtype=torch.uint8)
    exact = Runtime(backbone, CPU, "float32", 8).features(pixels)
    assert float((runtime.features(pixels) - exact).abs().max()) < 0.05 * float(exact.abs().max())
    assert backbone.model.blocks[0].attn.fused_attn  # the user's own module keeps its setting


class Hungry(Runtime):
    """Has memory for three images at a time."""

    def _run(self, pixels):
        self.sizes = [*getattr(self, "sizes", []), len(pixels)]
        if len(pixels) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return super()._run(pixels)


def test_the_batch_is_halved_when_memory_runs_out_and_stays_so(backbone):
    hungry = Hungry(backbone, CPU, "float32", 16)
    pixels = torch.from_numpy(images(11))
    expected = Runtime(backbone, CPU, "float32", 16).features(pixels)
    np.testing.assert_allclose(hungry.features(pixels), expected, atol=1e-5)
    assert hungry.sizes == [11, 5, 2, 2, 2, 2, 2, 1]
    hungry.features(pixels)
    assert max(hungry.sizes[8:]) == 2


def test_replicas_share_the_images_of_a_batch_and_keep_their_order(backbone, monkeypatch, two_threads):
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    pixels = torch.from_numpy(images(21))
    expected = Runtime(backbone, CPU, "bfloat16", 4).features(pixels)
    runtime = Runtime(backbone, CPU, "bfloat16", 8)
    runtime.compile(pixels[:8])
    assert runtime._replicas.threads == 2
    np.testing.assert_allclose(runtime.features(pixels), expected, atol=0.02 * float(expected.abs().max()))
    single = Runtime(backbone, CPU, "float32", 8)
    single.compile(pixels[:8])
    assert single._replicas is None


def test_replicas_halve_their_parts_when_memory_runs_out(backbone, monkeypatch, two_threads):
    sizes = []

    class Small(Runtime):
        def _run_part(self, pixels, size):
            sizes.append(size)
            if size > 2:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
            return super()._run_part(pixels, size)

    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    pixels = torch.from_numpy(images(16))
    runtime = Small(backbone, CPU, "bfloat16", 16)
    runtime.compile(pixels)
    assert (set(sizes), runtime.batch_size) == ({8, 4, 2}, 4)
    expected = Runtime(backbone, CPU, "bfloat16", 16).features(pixels)
    np.testing.assert_allclose(runtime.features(pixels), expected, atol=0.02 * float(expected.abs().max()))


def test_other_errors_are_not_taken_for_lack_of_memory(backbone):
    class Broken(Runtime):
        def _run(self, pixels):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        Broken(backbone, CPU, "float32", 4).features(torch.from_numpy(images(2)))


def test_without_a_compiler_it_runs_uncompiled(backbone, monkeypatch, caplog):
    def no_compiler(*_args, **_kwargs):
        def fail(_pixels):
            raise RuntimeError("no working C++ compiler found")

        return fail

    monkeypatch.setattr(torch, "compile", no_compiler)
    pixels = images(9)
    with caplog.at_level(logging.INFO):
        features = FeatureExtractor(backbone, device="cpu", precision="float32", compile=True).extract(pixels)
    assert "going on uncompiled: no working C++ compiler" in caplog.text
    plain = FeatureExtractor(backbone, device="cpu", precision="float32", compile=False).extract(pixels)
    np.testing.assert_array_equal(features.values, plain.values)


def test_only_long_jobs_are_compiled(backbone, monkeypatch):
    compiled = []
    monkeypatch.setattr(Runtime, "compile", lambda self, pixels: compiled.append(len(pixels)))
    extractor = FeatureExtractor(backbone, device="cpu", precision="float32", batch_size=2)
    monkeypatch.setattr(Runtime, "seconds_for", lambda *_: 10.0)
    extractor.extract(images(50))
    assert compiled == []
    monkeypatch.setattr(Runtime, "seconds_for", lambda *_: 1000.0)
    extractor.extract(images(50))
    assert compiled == [2]
    extractor.extract(images(10))
    assert compiled == [2]  # too few even to measure


@pytest.mark.slow
def test_compiled_features_are_the_same():
    torch.manual_seed(0)
    backbone = Backbone("test_resnet", pretrained=False)
    pixels = np.random.default_rng(0).integers(0, 256, (7, *backbone.preprocessing.size, 3), dtype=np.uint8)
    settings = {"device": "cpu", "precision": "float32", "batch_size": 4}
    compiled = FeatureExtractor(backbone, compile=True, **settings)
    got, expected = compiled.extract(pixels), FeatureExtractor(backbone, compile=False, **settings).extract(pixels)
    assert compiled._runtime.compiled
    np.testing.assert_allclose(got.values, expected.values, atol=1e-4 * np.abs(expected.values).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_compiled_replicas_give_the_same_features(name, two_threads):
    torch.manual_seed(0)
    backbone = Backbone(name, pretrained=False)
    pixels = np.random.default_rng(0).integers(0, 256, (11, *backbone.preprocessing.size, 3), dtype=np.uint8)
    settings = {"device": "cpu", "precision": "bfloat16", "batch_size": 8}
    compiled = FeatureExtractor(backbone, compile=True, **settings)
    got, expected = compiled.extract(pixels), FeatureExtractor(backbone, compile=False, **settings).extract(pixels)
    assert compiled._runtime.compiled
    assert compiled._runtime._replicas is not None
    np.testing.assert_allclose(got.values, expected.values, atol=0.03 * np.abs(expected.values).max())


def test_settings_are_checked(backbone):
    with pytest.raises(InputError, match="precision must be one of auto, float32, bfloat16"):
        FeatureExtractor(backbone, precision="half")
    with pytest.raises(InputError, match="device 'tpu' cannot be used"):
        FeatureExtractor(backbone, device="tpu")
    with pytest.raises(InputError, match="batch_size must be 'auto' or a number from 1, but 0 came"):
        FeatureExtractor(backbone, batch_size=0)
    with pytest.raises(InputError, match="compile must be True, False or 'auto'"):
        FeatureExtractor(backbone, compile="yes")
    with pytest.raises(InputError, match="workers must be 'auto' or a number from 0"):
        choose_workers(-1, 1000, 10)
    with pytest.raises(InputError, match="name it with store=FOLDER"):
        FeatureExtractor(backbone).extract(images(2), of_workers=2)


def test_bfloat16_is_chosen_only_where_it_is_fast(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert choose_precision("auto", CPU) == "bfloat16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True})
    assert choose_precision("auto", CPU) == "float32"
    assert choose_precision("auto", torch.device("mps")) == "float32"
    assert choose_device("cpu") == CPU


def test_workers_are_for_many_images():
    assert choose_workers("auto", 100, 7) == 0
    assert 1 <= choose_workers("auto", 10_000, 700) <= 16
    assert choose_workers(5, 100, 2) == 2


def test_features_count_their_rows():
    features = Features(values=np.zeros((3, 2), np.float32), keys=("a", "b", "c"))
    assert len(features) == 3
    assert features.classes == ()


def test_compiled_code_may_read_behind_the_last_pixel():
    pixels = torch.randint(0, 256, (3, 5, 7, 3), dtype=torch.uint8)
    roomy = with_room(pixels, 4)
    assert torch.equal(roomy[:3], pixels)
    assert not roomy[3].any()
    assert roomy.is_contiguous()
    assert roomy.untyped_storage().nbytes() >= roomy.numel() + 128
