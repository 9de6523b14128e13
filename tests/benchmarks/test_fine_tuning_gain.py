"""The fine-tuning benchmark on made-up pictures: what is drawn and kept apart, that it goes on, and its configs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compression_nets import TinyResNet, randomise_norms
from PIL import Image

from ncapps import config
from ncapps.benchmarks import fine_tuning
from ncapps.benchmarks.fine_tuning import FineTuningSettings, measure_fine_tuning
from ncapps.compression import FineTuneSettings, load_compressed
from ncapps.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def write_pictures(folder, each, seed, classes=("bird", "cat", "dog")):
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(each):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name / f"{i}.png")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    write_pictures(tmp_path / "train", 10, seed=0)
    write_pictures(tmp_path / "test", 6, seed=1)
    model = randomise_norms(TinyResNet(classes=3))
    monkeypatch.setattr(fine_tuning, "build_model", lambda spec: model)
    return FineTuningSettings(
        name="tiny", checkpoint="tiny.safetensors", train_data="train", test_data="test",
        output=str(tmp_path / "run"), data_root=str(tmp_path), macs=0.7, calibration=12, images=24,
        images_for_choices=5, image_size=16,
        fine_tune=FineTuneSettings(epochs=2, batch_size=8, learning_rate=1e-4, device="cpu", precision="float32"),
    )  # fmt: skip


def test_both_networks_are_measured_on_images_that_no_choice_was_made_on(settings):
    found = measure_fine_tuning(settings, progress=False)
    assert found["pruned"]["images"] == found["fine_tuned"]["images"] == 3 * 6 - 5
    assert 0.6 < found["macs_ratio"] <= 0.7
    assert [row["epoch"] for row in found["history"]] == [1, 2]
    assert json.loads(json.dumps(found))["settings"]["fine_tune"]["epochs"] == 2
    kept = load_compressed(Path(settings.output) / "fine_tuned.safetensors", TinyResNet(classes=3))
    assert kept.plan.fine_tuned_epochs == found["epoch"]
    fewer = measure_fine_tuning(replace(settings, report_images=4), progress=False)
    assert fewer["fine_tuned"]["images"] == 4


def test_a_second_call_goes_on_from_the_pruned_network_and_checkpoint_of_the_first(settings, monkeypatch):
    first = measure_fine_tuning(settings, progress=False)
    monkeypatch.setattr(fine_tuning, "compress", lambda *args, **kwargs: pytest.fail("pruned again"))
    again = measure_fine_tuning(settings, progress=False)
    assert again["history"] == first["history"]
    assert again["fine_tuned"] == first["fine_tuned"]


def test_a_pruned_network_of_other_settings_is_not_taken_up(settings):
    output = Path(settings.output)
    measure_fine_tuning(settings, progress=False)
    with pytest.raises(InputError, match="or of other networks; name another file"):
        measure_fine_tuning(replace(settings, macs=0.8), progress=False)
    (output / "checkpoint.safetensors").unlink()
    assert measure_fine_tuning(replace(settings, macs=0.8), progress=False)["macs_ratio"] > 0.7
    assert len(list(output.glob("pruned-*.safetensors"))) == 2


def test_all_images_are_learned_from_where_no_number_is_given(settings, monkeypatch):
    seen = []
    tune = fine_tuning.fine_tune

    def watched(small, model, images, labels, **kwargs):
        seen.append((len(images), kwargs["held_out"]))
        return tune(small, model, images, labels, **kwargs)

    monkeypatch.setattr(fine_tuning, "fine_tune", watched)
    found = measure_fine_tuning(replace(settings, images=None, images_for_choices=0), progress=False)
    assert seen == [(30, None)]
    assert found["epoch"] == 2
    assert found["pruned"]["images"] == 18


def test_other_classes_are_refused(settings, tmp_path):
    write_pictures(tmp_path / "other", 4, seed=2, classes=("bird", "cow", "dog"))
    with pytest.raises(InputError, match="of the same classes, but .* has bird, cat, dog and .* has bird, cow, dog"):
        measure_fine_tuning(replace(settings, test_data="other"), progress=False)


@pytest.mark.parametrize(("name", "epochs", "batchnorm"), [("gpu", 300, "update"), ("cpu", 3, "frozen")])
def test_the_configs_are_read(name, epochs, batchnorm):
    found = config.load(FineTuningSettings, ROOT / "configs" / "compress" / f"fine_tune_resnet56_{name}.yaml")
    assert (found.fine_tune.epochs, found.fine_tune.batchnorm) == (epochs, batchnorm)
    assert found.macs == 0.3891


def test_dense_weights_name_the_pruned_network(settings):
    one, other = (randomise_norms(TinyResNet(classes=3), seed=seed) for seed in (0, 1))
    digests = {fine_tuning._digest(model, settings) for model in (one, other)}
    assert len(digests) == 2
    assert fine_tuning._digest(one, replace(settings, output="elsewhere", images=9)) in digests
    assert fine_tuning._digest(one, replace(settings, calibration=9)) not in digests
