import pytest
import timm
import torch
from torch import nn

from ncapps.features import Backbone
from ncapps.features.class_token import ClassTokenBlock, keep_class_token
from ncapps.features.trunk import Route, Trunk

SETTINGS = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 5}


def vit(name="vit_tiny_patch16_224", **changes):
    torch.manual_seed(0)
    model = timm.create_model(name, **{**SETTINGS, **changes}).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize(
    "changes",
    [{}, {"qk_norm": True}, {"qkv_bias": False}, {"init_values": 0.5}, {"reg_tokens": 2}, {"scale_attn_norm": True}],
)
def test_the_features_stay_the_models(changes):
    model, x = vit(**changes).double(), torch.randn(3, 3, 32, 32, dtype=torch.float64)
    trunk = Trunk(model, Route())
    assert keep_class_token(trunk)
    with torch.no_grad():
        torch.testing.assert_close(trunk(x), Route().features(model, x), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(model.head(trunk(x)), model(x), rtol=1e-10, atol=1e-10)
    assert not isinstance(model.blocks[-1], ClassTokenBlock)  # the user's own model keeps its block


def test_the_other_tokens_are_not_computed():
    trunk = Trunk(vit(), Route())
    keep_class_token(trunk)
    with torch.no_grad():
        assert trunk.model.forward_features(torch.randn(3, 3, 32, 32)).shape == (3, 1, 24)


@pytest.mark.parametrize(
    "changes",
    [{"global_pool": "avg"}, {"global_pool": "map"}, {"class_token": False, "global_pool": "avg"}],
)
def test_networks_that_pool_other_tokens_keep_their_block(changes):
    trunk = Trunk(vit(**changes), Route())
    assert not keep_class_token(trunk)
    assert not any(isinstance(module, ClassTokenBlock) for module in trunk.modules())


def test_other_blocks_and_routes_are_left_alone():
    assert not keep_class_token(Trunk(vit(), Route(two_tokens=True)))
    assert not keep_class_token(Trunk(vit("deit_tiny_distilled_patch16_224"), Route()))
    assert not keep_class_token(Backbone("test_resnet", pretrained=False).trunk())

    model = vit()
    model.blocks[-1].attn.proj.register_forward_hook(lambda _module, _inputs, out: out + 1 / len(out[0]))
    assert not keep_class_token(Trunk(model, Route()))  # the proof on random tokens fails
