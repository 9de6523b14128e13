import timm
import torch
from torch import nn

from ncapps.features.trunk import Route, Trunk, is_timm


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.fc = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.body(x)))


def test_features_of_a_named_head_are_its_input():
    model, x = Own(), torch.randn(5, 6)
    features = Route(head_name="fc").features(model, x)
    assert torch.equal(features, torch.relu(model.body(x)))
    assert torch.equal(model.fc(features), model(x))
    assert not model.fc._forward_pre_hooks


def test_the_trunk_is_a_copy_that_gives_the_same_features():
    model, x = Own().train(), torch.randn(5, 6)
    trunk = Trunk(model, Route(head_name="fc"))
    assert torch.equal(trunk(x), Route(head_name="fc").features(model, x))
    assert model.training
    assert isinstance(model.fc, nn.Linear)
    with torch.no_grad():
        model.body.weight.zero_()
    assert trunk(x).abs().sum() > 0


def test_timm_networks_are_reached_by_their_own_interface():
    model, x = timm.create_model("test_resnet", num_classes=5).eval(), torch.randn(2, 3, 64, 64)
    assert is_timm(model)
    assert not is_timm(Own())
    features = Route().features(model, x)
    assert torch.allclose(model.get_classifier()(features), model(x), atol=1e-5)
    assert torch.allclose(Trunk(model, Route())(x), features, atol=1e-6)
