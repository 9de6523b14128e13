"""Weights from files: what fits is loaded, what does not gets one line."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ncapps.errors import InputError
from ncapps.features import Backbone, BackboneSpec, build_model


@pytest.fixture
def weights():
    return build_model(BackboneSpec(name="cifar_resnet20", num_classes=4), seed=5).state_dict()


def test_every_kind_of_file_gives_the_same_network(tmp_path, weights):
    save_file(weights, tmp_path / "cifar_resnet20.safetensors", metadata={"classes": "ant bee cat dog"})
    torch.save(weights, tmp_path / "plain.pth")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in weights.items()}}, tmp_path / "wrapped.pt")
    files = [tmp_path / "plain.pth", tmp_path / "wrapped.pt", tmp_path / "cifar_resnet20.safetensors", tmp_path]
    backbones = [Backbone("cifar_resnet20", checkpoint=file) for file in files]
    assert len({backbone.weights_hash for backbone in backbones}) == 1
    assert backbones[0].head is not None
    assert backbones[0].head.weight.shape == (4, 64)  # the checkpoint's own number of classes
    assert backbones[0].classes is None
    assert backbones[2].classes == ("ant", "bee", "cat", "dog")


def test_half_precision_weights_become_float32(tmp_path, weights):
    save_file(
        {k: v.half() if k.endswith("conv1.weight") else v for k, v in weights.items()}, tmp_path / "h.safetensors"
    )
    model = build_model(BackboneSpec(name="cifar_resnet20", checkpoint=str(tmp_path / "h.safetensors")))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.conv1.weight, weights["conv1.weight"].half().float())


def test_batch_counters_may_be_missing_but_nothing_else(tmp_path, weights):
    save_file({k: v for k, v in weights.items() if "num_batches" not in k}, tmp_path / "c.safetensors")
    build_model(BackboneSpec(name="cifar_resnet20", checkpoint=str(tmp_path / "c.safetensors")))
    save_file({k: v for k, v in weights.items() if k != "bn1.bias"}, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=r"m\.safetensors does not fit CifarResNet: it lacks bn1\.bias"):
        build_model(BackboneSpec(name="cifar_resnet20", checkpoint=str(tmp_path / "m.safetensors")))


def test_what_does_not_fit_is_named(tmp_path, weights):
    def fails(match, name="cifar_resnet20", file="w.safetensors"):
        with pytest.raises(InputError, match=match):
            build_model(BackboneSpec(name=name, checkpoint=str(tmp_path / file)))

    save_file(weights, tmp_path / "w.safetensors")
    fails("it lacks layer1.3.conv1.weight.* and [0-9]+ more", name="cifar_resnet32")
    save_file(weights | {"conv1.weight": torch.zeros(16, 1, 3, 3)}, tmp_path / "w.safetensors")
    fails(r"its conv1\.weight has the shape \(16, 1, 3, 3\), the model's \(16, 3, 3, 3\)")
    save_file(weights | {"bn1.bias": torch.full((16,), torch.nan)}, tmp_path / "w.safetensors")
    fails(r"holds NaN or infinity in bn1\.bias")
    fails("does not exist; is the path right", file="absent.pth")
    (tmp_path / "empty").mkdir()
    fails("holds no weights called cifar_resnet20.safetensors", file="empty")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("cut", [0, 100, 5000])
def test_damaged_files_are_named(tmp_path, weights, name, cut):
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(weights, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="is damaged .*; was it copied or downloaded in full"):
        build_model(BackboneSpec(name="cifar_resnet20", checkpoint=str(path)))


def test_files_with_code_are_not_opened(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")
    with pytest.raises(InputError, match="holds Python objects, not weights alone, and is not opened"):
        build_model(BackboneSpec(name="cifar_resnet20", checkpoint=str(tmp_path / "whole.pth")))
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(InputError, match="holds no tensors by name"):
        build_model(BackboneSpec(name="cifar_resnet20", checkpoint=str(tmp_path / "none.pth")))
