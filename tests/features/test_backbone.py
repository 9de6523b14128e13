"""Law 7: head(features) is the model's output, for every family; and each way to name a network, right and wrong."""

import logging

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from ncapps.errors import InputError
from ncapps.features import Backbone, BackboneSpec, Preprocessing, build_model

FAMILIES = {
    "test_resnet": {},
    "test_convnext": {},
    "test_vit": {},
    "test_efficientnet": {},
    "test_nfnet": {},
    "resnet10t": {},
    "mobilenetv2_035": {},
    "mobilenetv3_small_050": {},
    "regnetx_002": {},
    "densenet121": {},
    "vgg11": {},
    "dla46_c": {},
    "crossvit_tiny_240": {},
    "efficientformer_l1": {},
    "deit_tiny_distilled_patch16_224": {"img_size": 32},
    "swin_tiny_patch4_window7_224": {
        "img_size": 56,
        "depths": (1, 1, 1, 1),
        "embed_dim": 24,
        "num_heads": (1, 2, 4, 8),
    },
    "mixer_s32_224": {"img_size": 64},
    "levit_128s": {},
    "cifar_resnet20": {},
}
NOT_AFFINE = {"levit_128s"}
SMALL = dict.fromkeys(
    ("densenet121", "regnetx_002", "resnet10t", "dla46_c", "mobilenetv2_035", "mobilenetv3_small_050", "test_nfnet"), 64
) | {"vgg11": 32}


@pytest.mark.parametrize("name", FAMILIES)
def test_head_of_features_is_the_model(name):
    spec = BackboneSpec(name=name, model_kwargs=FAMILIES[name], num_classes=7, image_size=SMALL.get(name))
    backbone = Backbone(build_with_seed(spec), preprocessing={"size": SMALL.get(name)})
    backbone.model.eval()
    batch = torch.randn(3, 3, *backbone.preprocessing.size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = backbone.model(batch).numpy()
        features, logits = backbone.forward(batch)
        from_trunk = backbone.trunk()(batch).numpy()
    head = backbone.head
    assert head is not None
    assert logits is not None
    scale = np.abs(expected).max()
    assert features.shape == (3, backbone.feature_dim)
    np.testing.assert_allclose(head(features.numpy()), expected, atol=1e-4 * scale)
    np.testing.assert_allclose(logits.numpy(), expected, atol=1e-4 * scale)
    np.testing.assert_allclose(from_trunk, features.numpy(), atol=1e-5 * np.abs(features.numpy()).max())
    if name in NOT_AFFINE:
        assert head.weight is None
        assert head.bias is None
    else:
        assert head.weight is not None
        assert head.weight.dtype == np.float64
        affine = features.double().numpy() @ head.weight.T + head.bias
        np.testing.assert_allclose(affine, expected, atol=1e-4 * scale)


def build_with_seed(spec):
    model = build_model(spec, seed=0)
    # Classifiers that start at zero would agree with anything.
    generator = torch.Generator().manual_seed(2)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = torch.randn(module.weight.shape, generator=generator) * 0.05
    return model


class TwoLinears(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(5, 3)  # declared first, used last
        self.first = nn.Linear(3 * 64, 5)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.flatten(1))))


def test_the_head_of_a_plain_module_is_found_by_its_output():
    backbone = Backbone(TwoLinears(), preprocessing={"size": 8})
    assert backbone.route.head_name == "last"
    assert backbone.feature_dim == 5
    assert Backbone(TwoLinears(), head="last", preprocessing={"size": 8}).feature_dim == 5


def test_a_plain_module_says_that_its_preprocessing_is_assumed(caplog):
    with caplog.at_level(logging.WARNING):
        Backbone(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)))
    assert "224 pixels" in caplog.text


def test_examining_leaves_training_mode_and_gradients_alone():
    model = timm.create_model("test_resnet")
    model.train()
    model.bn1.eval()
    Backbone(model)
    assert model.training
    assert not model.bn1.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_wrong_heads_are_named():
    with pytest.raises(InputError, match="no layer 'fc'; its linear layers are last, first"):
        Backbone(TwoLinears(), head="fc", preprocessing={"size": 8})
    with pytest.raises(InputError, match="layer 'first' of TwoLinears does not give the model's output"):
        Backbone(TwoLinears(), head="first", preprocessing={"size": 8})
    softmax = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.Softmax(1))
    with pytest.raises(InputError, match="is there a softmax"):
        Backbone(softmax, preprocessing={"size": 8})
    with pytest.raises(InputError, match="no linear layer"):
        Backbone(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), preprocessing={"size": 8})
    with pytest.raises(InputError, match="is the preprocessing's size"):
        Backbone(TwoLinears(), preprocessing={"size": 9})
    with pytest.raises(InputError, match=r"timm name or a torch\.nn\.Module, but int came"):
        Backbone(3)  # type: ignore[arg-type]


def test_a_subclass_of_linear_that_is_not_affine_has_no_weight():
    class Cosine(nn.Linear):
        def forward(self, input):  # noqa: A002
            return nn.functional.linear(nn.functional.normalize(input), nn.functional.normalize(self.weight))

    backbone = Backbone(nn.Sequential(nn.Flatten(), nn.Linear(192, 6), Cosine(6, 3)), preprocessing={"size": 8})
    assert backbone.feature_dim == 6
    assert backbone.head is not None
    assert backbone.head.weight is None


def test_the_hash_follows_the_weights():
    spec = BackboneSpec(name="cifar_resnet20")
    first, twin = Backbone(build_model(spec, seed=3)), Backbone(build_model(spec, seed=3))
    assert first.weights_hash == twin.weights_hash
    twin.model.bn1.running_mean[0] += 1e-3
    assert first.weights_hash != twin.weights_hash


def test_seeded_weights_leave_the_global_state_alone():
    before = torch.get_rng_state()
    build_model(BackboneSpec(name="cifar_resnet20"), seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_names_and_missing_weights_are_explained(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(InputError, match="no model called 'resnet181'; did you mean resnet18"):
        Backbone("resnet181")
    with pytest.raises(InputError, match="not its tag 'a9_in1k'; its tags are .*a1_in1k"):
        Backbone("resnet18.a9_in1k")
    for name in ("resnet18.a1_in1k", "resnet18"):
        with pytest.raises(InputError, match=f"no weights of {name} on this machine: give checkpoint=FILE, or allow"):
            Backbone(name)
    with pytest.raises(InputError, match="timm cannot build test_resnet with"):
        Backbone("test_resnet", pretrained=False, model_kwargs={"wings": 2})
    with pytest.raises(InputError, match="pretrained must be True, False or 'auto'"):
        Backbone("test_resnet", pretrained="yes")
    with pytest.raises(InputError, match="go with a model's name"):
        Backbone(TwoLinears(), num_classes=3)


def test_cached_weights_are_used_without_the_network(tmp_path, monkeypatch):
    original = build_model(BackboneSpec(name="test_resnet"), seed=1)
    save_file(original.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "model.safetensors"))
    assert Backbone("test_resnet.r160_in1k").weights_hash == Backbone(original).weights_hash


def test_preprocessing_can_be_overridden():
    backbone = Backbone("test_resnet", pretrained=False, preprocessing={"mean": (0.5, 0.5, 0.5), "size": 96})
    assert backbone.preprocessing.mean == (0.5, 0.5, 0.5)
    assert backbone.preprocessing.size == (96, 96)
    whole = Preprocessing(size=(40, 40))
    assert Backbone("test_resnet", pretrained=False, preprocessing=whole).preprocessing is whole
    with pytest.raises(InputError, match="preprocessing knows size, mean"):
        Backbone("test_resnet", pretrained=False, preprocessing={"wide": 3})


def test_weights_that_cannot_be_fetched_are_one_line(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr("timm.create_model", unreachable)
    with pytest.raises(InputError, match="weights of resnet18.a1_in1k could not be fetched .*is there a network"):
        Backbone("resnet18.a1_in1k", download=True)
