import copy
import sys
from pathlib import Path

import compression_onnx
import numpy as np
import pytest
import torch
from tiny_families import FAMILIES, build_tiny
from torch import nn

from ncapps.compression import OnnxModel, compress, export_onnx, export_program, quantize
from ncapps.compression.export import TOLERANCE
from ncapps.errors import InputError


@pytest.mark.parametrize("network", [compression_onnx.convolutional, compression_onnx.transformer])
@pytest.mark.parametrize("count", [1, 3, 31])
def test_outputs_are_the_models_for_any_number_of_images(network, count):
    model, images, exported = network()
    with torch.no_grad():
        expected = model(images[:count])
    got = exported(images[:count])
    assert got.shape == expected.shape
    assert (got - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_pruned_families_leave_as_onnx_and_in_8_bits(name):
    model, images = build_tiny(name), torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    small = compress(model, images, macs=0.92, progress=False).model
    exported = export_onnx(small, images, threads=1)
    fast = quantize(exported, images, keep="always", max_drop=None)
    with torch.no_grad():
        expected = small(images)
    assert (exported(images) - expected).norm() < TOLERANCE * expected.norm()
    assert (fast(images) - expected).norm() < 0.3 * expected.norm()
    assert fast.report.kind == "int8"


def test_layers_have_their_names_and_no_source_line_is_kept():
    import onnx

    model, _, exported = compression_onnx.convolutional()
    proto = onnx.load_from_string(exported.data)
    names = {node.name for node in proto.graph.node if node.op_type in ("Conv", "Gemm")}
    assert names == {name for name, layer in model.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    for text in (b".py", b"stack_trace", str(Path.home()).encode(), Path(__file__).name.encode()):
        assert text not in exported.data


def test_the_file_holds_what_is_returned_and_the_model_is_untouched(tmp_path):
    class Tiny(nn.Sequential):
        pass

    model = Tiny(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)).train()
    before = copy.deepcopy(model.state_dict())
    images = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)
    exported = export_onnx(model, images, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == exported.data
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    again = OnnxModel.load(tmp_path / "net.onnx")
    assert np.array_equal(again(images), exported(images))


def test_a_program_is_read_back_by_torch_alone_and_keeps_no_image(tmp_path):
    model, images, _ = compression_onnx.convolutional()
    path = tmp_path / "net.pt2"
    export_program(model, images, path)
    again = torch.export.load(path).module()
    with torch.no_grad():
        assert torch.allclose(again(images[:7]), model(images[:7]), atol=1e-5)
    assert images[0].numpy().tobytes()[:64] not in path.read_bytes()


class _FixedNumber(nn.Module):
    """Only ever takes two images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, 48).sum(dim=1, keepdim=True)


class _Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.mean((2, 3)), x.sum((2, 3))


class _Unsteady(nn.Module):
    """Gives other outputs in the graph than when it runs: the tracer sees one branch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3)) * (1.0 if torch.compiler.is_compiling() else 2.0)


@pytest.mark.parametrize("export", ["onnx", "program"])
@pytest.mark.parametrize(
    ("model", "count", "words"),
    [
        (_FixedNumber(), 2, "_FixedNumber cannot be exported by .* with a free number of images"),
        (_Pair(), 4, "_Pair must return one tensor, but returns a tuple"),
        (_Unsteady(), 4, r"gives other outputs on 1 image\(s\) \(relative error 5.0e-01\); it is not written"),
        (_Unsteady(), 1, "export needs two images or more"),
    ],
)
def test_mistakes_get_one_line_and_write_nothing(model, count, words, export, tmp_path):
    write = export_onnx if export == "onnx" else export_program
    with pytest.raises(InputError, match=words) as caught:
        write(model, torch.ones(count, 3, 4, 4), tmp_path / "net")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_tolerance_is_tight():
    assert TOLERANCE <= 1e-4


def test_without_the_extra_there_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = r"the package onnxruntime, which is not installed; run: pip install 'ncapps\[onnx\]'"
    with pytest.raises(InputError, match=line):
        export_onnx(nn.Flatten(), torch.zeros(2, 3, 4, 4))
