import copy

import pytest
import torch
from compression_nets import TinyResNet

from ncapps.benchmarks import support_trial
from ncapps.benchmarks.support_settings import SupportSettings
from ncapps.benchmarks.support_trial import examine_architecture, randomise

SETTINGS = SupportSettings(output="", architectures=("test_efficientnet",))


@pytest.mark.parametrize(
    ("name", "side", "kwargs"),
    [("test_efficientnet", 64, {}), ("vit_tiny_patch16_224", 64, {"img_size": 64}), ("test_convnext", 64, {})],
)
def test_small_images_where_the_model_takes_them(name, side, kwargs):
    row = examine_architecture(name, SETTINGS)
    assert (row["image_size"], row["model_kwargs"]) == (side, kwargs)
    assert row["status"] == "works"
    assert row["widths"] > 0
    assert 0.4 < row["params_left"] < 1
    assert 0 < row["gate_error"] < 1e-5
    assert row["effect"] > 1e-3


def test_a_model_without_inner_widths_is_refused_with_its_reason():
    row = examine_architecture("regnetx_002", SETTINGS)
    assert row["status"] == "refused"
    assert "no inner width that can be cut exactly" in row["reason"]


def test_what_does_not_hold_is_no_pass(monkeypatch):
    """The cut that changes nothing, and the network that is not the one that was cut."""
    monkeypatch.setattr(support_trial, "_effect", lambda *networks: 1e-6)
    with pytest.raises(RuntimeError, match="changes the output by 1.0e-06 only"):
        examine_architecture("test_efficientnet", SETTINGS)
    monkeypatch.undo()
    monkeypatch.setattr(support_trial, "shrunk_copy", lambda dense, widths, kept: copy.deepcopy(dense))
    with pytest.raises(RuntimeError, match="did not shrink"):
        examine_architecture("test_efficientnet", SETTINGS)
    monkeypatch.undo()
    monkeypatch.setattr(support_trial, "relative_errors", lambda *arguments: [0.0, 2e-5])
    with pytest.raises(RuntimeError, match="the gate's error is 2.0e-05"):
        examine_architecture("test_efficientnet", SETTINGS)


def test_no_gain_and_no_statistic_is_left_at_its_first_value():
    model = TinyResNet()
    model.register_buffer("table", torch.arange(4))
    before = copy.deepcopy(model.state_dict())
    randomise(model, 0)
    after = model.state_dict()
    for name in before:
        kept = name == "table" or name.endswith("num_batches_tracked")
        assert torch.equal(before[name], after[name]) == kept, name
    again = TinyResNet()
    randomise(again, 0)
    assert all(torch.equal(one, after[name]) for name, one in again.state_dict().items())
