import json

import pytest
import torch

from ncapps.errors import InputError
from ncapps.features import Backbone
from ncapps.features.rebuild import backbone_recipe, rebuild_backbone


def parts(backbone):
    weights = {name: value.numpy() for name, value in backbone.model.state_dict().items()}
    return json.loads(json.dumps(backbone_recipe(backbone))), weights


def test_recipe_and_weights_give_the_same_network():
    backbone = Backbone("cifar_resnet20", pretrained=False, num_classes=4, preprocessing={"size": (16, 16)})
    again = rebuild_backbone(*parts(backbone), None, "file")
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(again.model(x), backbone.model.eval()(x))
    assert again.preprocessing == backbone.preprocessing


def test_the_recipe_names_no_checkpoint(tmp_path):
    from safetensors.torch import save_file

    save_file(
        Backbone("cifar_resnet20", pretrained=False, num_classes=3).model.state_dict(), tmp_path / "w.safetensors"
    )
    recipe, weights = parts(Backbone("cifar_resnet20", checkpoint=tmp_path / "w.safetensors"))
    assert recipe["spec"]["checkpoint"] is None
    assert rebuild_backbone(recipe, weights, None, "file").head.weight.shape == (3, 64)


def test_changed_weights_are_noticed():
    recipe, weights = parts(Backbone("cifar_resnet20", pretrained=False))
    weights["linear.bias"] = weights["linear.bias"] + 1
    with pytest.raises(InputError, match="holds other weights than it was saved with; it was changed since"):
        rebuild_backbone(recipe, weights, None, "file")
