from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ncapps.collapse import measure_collapse
from ncapps.errors import InputError
from ncapps.features.backbone import Backbone
from ncapps.training import EpochRecord, TrainSettings, load_trained, train

TINY = TrainSettings(
    backbone="resnet18",
    model_kwargs={"channels": [4, 8, 8, 16], "layers": [1, 1, 1, 1]},
    small_stem=True,
    image_size=8,
    epochs=2,
    batch_size=8,
    learning_rate=0.05,
    augment="shift",
    device="cpu",
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bars():
    """Return 32 images of bars of three colours and directions, with noise, and their class names."""
    random = np.random.default_rng(0)
    images = random.integers(0, 60, (32, 8, 8, 3), dtype=np.uint8)
    labels = [("across", "down", "full")[i % 3] for i in range(32)]
    for image, label in zip(images, labels, strict=True):
        place = random.integers(0, 6)
        image[place : place + 2 if label != "down" else None, :, 0] += 150 if label == "across" else 0
        image[:, place : place + 2, 1] += 150 if label == "down" else 0
        image[..., 2] += 150 if label == "full" else 0
    return images, labels


def changed(**fields: object) -> TrainSettings:
    return dataclasses.replace(TINY, **fields)  # type: ignore[arg-type]


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def run(settings: TrainSettings, data, **kwargs: object):
    return train(settings, *data, progress=False, **kwargs)  # type: ignore[arg-type]


HEADS = [
    {"head": "learned"},
    {"head": "learned", "loss": "mse"},
    {"head": "learned", "feature_scale": 8.0},
    {"head": "etf"},
    {"head": "etf", "loss": "mse"},
    {"head": "etf", "feature_scale": 8.0, "loss": "mse"},
    {"head": "etf", "feature_scale": 8.0, "loss": "dot_regression"},
    {"head": "class_means", "feature_scale": 8.0},
]


@pytest.mark.parametrize("fields", HEADS, ids=lambda fields: "-".join(str(value) for value in fields.values()))
def test_every_head_and_loss_learns_and_ends_as_the_models_own_linear_layer(bars, fields):
    result = run(changed(epochs=12, **fields), bars)
    assert result.history[-1].train_accuracy is not None
    assert result.history[-1].train_accuracy >= 0.9
    linear = result.model.get_classifier()  # type: ignore[operator]
    assert type(linear) is nn.Linear
    batch = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        features, logits = result.backbone.forward(batch)
        torch.testing.assert_close(result.model(batch), logits)
        torch.testing.assert_close(linear(features), logits)
    assert all(parameter.requires_grad for parameter in result.model.parameters())
    assert not result.model.training


@pytest.mark.parametrize("fields", HEADS, ids=lambda fields: "-".join(str(value) for value in fields.values()))
def test_the_exported_head_decides_as_the_head_in_training_did(bars, fields):
    result = run(changed(**fields), bars)
    names = np.array(result.classes)
    with torch.no_grad():
        _, logits = result.backbone.forward(result.backbone.preprocessing.normalise(torch.from_numpy(bars[0])))
    accuracy = float((names[logits.argmax(1).numpy()] == np.array(bars[1])).mean())
    assert accuracy == pytest.approx(result.history[-1].train_accuracy, abs=1e-9)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("head", ["learned", "class_means"])
def test_an_interrupted_run_ends_with_the_very_weights_of_an_uninterrupted_one(bars, tmp_path, optimizer, head):
    settings = changed(
        epochs=4,
        head=head,
        feature_scale=8.0,
        optimizer=optimizer,
        learning_rate=0.01,
        model_kwargs={**TINY.model_kwargs, "drop_rate": 0.2},
    )
    straight = run(settings, bars)

    class Stop(Exception):  # noqa: N818
        pass

    def stop(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise Stop

    file = tmp_path / "run.safetensors"
    with pytest.raises(Stop):
        run(settings, bars, checkpoint=file, on_epoch=stop)
    epochs: list[int] = []
    resumed = run(settings, bars, checkpoint=file, on_epoch=lambda record: epochs.append(record.epoch))
    assert epochs == [3, 4]
    for name, value in weights(straight.model).items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    timeless = [[dataclasses.replace(record, seconds=0.0) for record in r.history] for r in (straight, resumed)]
    assert timeless[0] == timeless[1]


def test_a_finished_run_is_not_run_again(bars, tmp_path):
    file = tmp_path / "run.safetensors"
    first = run(TINY, bars, checkpoint=file)
    again = run(TINY, bars, checkpoint=file, on_epoch=lambda record: pytest.fail("an epoch was run again"))
    assert again.history == first.history
    assert again.backbone.weights_hash == first.backbone.weights_hash
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_checkpoint_of_another_run_is_refused(bars, tmp_path):
    file = tmp_path / "run.safetensors"
    run(changed(epochs=1), bars, checkpoint=file)
    with pytest.raises(InputError, match=r"was made with learning_rate=0.05, but these settings say 0.2") as caught:
        run(changed(epochs=1, learning_rate=0.2), bars, checkpoint=file)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="a run on other images or labels"):
        run(changed(epochs=1), (bars[0], bars[1][::-1]), checkpoint=file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        run(changed(epochs=1), bars, checkpoint=file)


def test_the_seed_decides_everything_and_torchs_own_random_state_is_left_alone(bars):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = run(TINY, bars)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    assert run(TINY, bars).backbone.weights_hash == first.backbone.weights_hash
    assert run(changed(seed=1), bars).backbone.weights_hash != first.backbone.weights_hash


def test_the_history_holds_what_measuring_afterwards_gives(bars):
    result = run(changed(epochs=3, measure_every=2), bars, val_images=bars[0][:6], val_labels=bars[1][:6])
    assert [record.epoch for record in result.history] == [1, 2, 3]
    assert [record.nc1 is None for record in result.history] == [True, False, False]
    assert [record.val_accuracy is None for record in result.history] == [True, False, False]
    with torch.no_grad():
        pixels = result.backbone.preprocessing.normalise(torch.from_numpy(bars[0]))
        features = result.backbone.forward(pixels)[0].numpy()
    report = measure_collapse(features, bars[1], head=result.backbone.head)
    last = result.history[-1]
    assert last.nc1 == pytest.approx(report.nc1, rel=1e-4)
    assert last.nc2_equinorm == pytest.approx(report.nc2_equinorm, rel=1e-4)
    assert last.nc2_equiangularity == pytest.approx(report.nc2_equiangularity, rel=1e-4)
    assert last.nc3 == pytest.approx(report.nc3, rel=1e-4)
    assert last.nc4 == pytest.approx(report.nc4_agreement)


def test_a_saved_model_is_loaded_as_the_same_model_with_its_class_names(bars, tmp_path):
    result = run(changed(epochs=1), bars)
    assert result.classes == result.backbone.classes == ("across", "down", "full")
    result.save(tmp_path / "model.safetensors")
    loaded = load_trained(tmp_path / "model.safetensors")
    assert loaded.classes == result.classes
    assert loaded.preprocessing == result.backbone.preprocessing
    assert loaded.weights_hash == result.backbone.weights_hash
    assert Backbone(result.spec).weights_hash != loaded.weights_hash


@pytest.mark.parametrize("name", ["cifar_resnet20", "test_vit", "test_convnext", "mobilenetv3_small_050"])
def test_other_families_train(bars, name):
    size = {"test_vit": 160, "test_convnext": 32}.get(name, 32)
    settings = TrainSettings(backbone=name, image_size=size, epochs=1, batch_size=16, device="cpu", precision="float32")
    result = run(settings, bars)
    assert np.isfinite(result.history[0].loss)
    assert result.history[0].nc1 is not None


def test_bfloat16_is_the_backbones_alone(bars):
    result = run(changed(precision="bfloat16", epochs=6), bars)
    assert result.history[-1].train_accuracy == pytest.approx(1.0, abs=0.1)
    assert all(value.dtype in (torch.float32, torch.int64) for value in result.model.state_dict().values())


def test_bad_input_is_told_in_one_line(bars):
    images, labels = bars
    with pytest.raises(InputError, match="two classes or more"):
        run(TINY, (images, ["one"] * len(images)))
    with pytest.raises(InputError, match="training needs labels"):
        run(TINY, (images, None))
    with pytest.raises(InputError, match="labels"):
        run(TINY, (images, labels[:-1]))
    with pytest.raises(InputError, match=r"validation images have the class\(es\) dog"):
        run(TINY, bars, val_images=images[:1], val_labels=["dog"])
    with pytest.raises(InputError, match="resnet18"):
        run(changed(backbone="resnet81", small_stem=False, model_kwargs={}), bars)
    with pytest.raises(InputError, match="lower learning_rate"):
        run(changed(learning_rate=1e25, warmup=0.0), bars)
    with pytest.raises(InputError, match="does not end in one linear layer"):
        run(TrainSettings(backbone="deit_tiny_distilled_patch16_224", image_size=224, device="cpu"), bars)


@pytest.mark.slow
def test_digits_collapse():
    from ncapps import config
    from ncapps.features.images import open_images, split_by_class

    settings = config.load(TrainSettings, Path(__file__).parents[2] / "configs" / "train" / "digits.yaml")
    digits = open_images("digits")
    known = digits.select(np.flatnonzero(np.array(digits.labels) < 8))
    parts = [known.select(part) for part in split_by_class(known.labels, (0.6, 0.2, 0.2), seed=0)]
    torch.set_num_threads(os.cpu_count() or 1)
    result = train(settings, parts[0], val_images=parts[2], progress=False)
    last = result.history[-1]
    assert last.train_accuracy == 1.0
    assert last.nc1 is not None
    assert last.nc1 < 0.05
    assert last.val_accuracy is not None
    assert last.val_accuracy >= 0.97
