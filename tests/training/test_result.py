from __future__ import annotations

from training_runs import changed, run

from ncapps.features.backbone import Backbone
from ncapps.training import load_trained


def test_a_saved_model_is_loaded_as_the_same_model_with_its_class_names(bars, tmp_path):
    result = run(changed(epochs=1), bars)
    assert result.classes == result.backbone.classes == ("across", "down", "full")
    result.save(tmp_path / "model.safetensors")
    loaded = load_trained(tmp_path / "model.safetensors")
    assert loaded.classes == result.classes
    assert loaded.preprocessing == result.backbone.preprocessing
    assert loaded.weights_hash == result.backbone.weights_hash
    assert Backbone(result.spec).weights_hash != loaded.weights_hash
