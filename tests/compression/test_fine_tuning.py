"""Laws of fine-tuning: it learns, never ends worse, goes on exactly, and refuses what is of another run."""

import dataclasses
from dataclasses import replace

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from torch import nn

from ncapps.compression import FineTuneRecord, FineTuneSettings, compress, fine_tune, load_compressed
from ncapps.compression.distillation import inputs_of
from ncapps.errors import InputError

SETTINGS = FineTuneSettings(epochs=3, batch_size=16, learning_rate=3e-4, device="cpu", precision="float32")


def smooth(count, seed):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, size=16, mode="bilinear")


def answering(seed):
    """A network whose answers differ from image to image: its head sees the features centred and at one scale."""
    model = randomise_norms(TinyResNet(blocks=2, channels=8), seed=seed).eval()
    with torch.no_grad(), inputs_of(model.head) as read:
        model(smooth(256, 2))
        deviation, mean = torch.std_mean(read[0], 0)
        model.head.weight *= 1 / deviation
        model.head.bias.copy_(-model.head.weight @ mean)
    return model


@pytest.fixture(scope="module")
def model():
    return answering(seed=0)


@pytest.fixture(scope="module")
def images():
    return smooth(96, 0)


@pytest.fixture(scope="module")
def small(model, images):
    """Cut and not repaired, so that there is much to learn."""
    return compress(model, images[:32], macs=0.6, repair=False, progress=False)


@pytest.fixture(scope="module")
def held(model):
    images = smooth(200, 1)
    with torch.no_grad():
        return images, model(images).argmax(1).numpy()


def tune(small, model, images, settings=SETTINGS, **kwargs):
    return fine_tune(small, model, images, settings=settings, progress=False, **kwargs)


def states_of(*networks):
    return [{name: value.clone() for name, value in one.state_dict().items()} for one in networks]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_what_the_dense_network_says_on_new_images(model, small, images, held):
    tuned = tune(small, model, images, replace(SETTINGS, epochs=6))
    with torch.no_grad():
        dense, before, after = (one(held[0]) for one in (model, small.model, tuned.compressed.model))
    assert (after - dense).norm() < 0.5 * (before - dense).norm()
    first, last = tuned.history[0], tuned.history[-1]
    assert last.logits_loss < first.logits_loss
    assert last.feature_loss < first.feature_loss
    assert last.label_loss == 0
    assert last.loss == pytest.approx(last.logits_loss + last.feature_loss, rel=1e-5)


def test_nothing_that_was_given_changes(model, small, images):
    before = states_of(model, small.model)
    state = torch.get_rng_state()
    tune(small, model, images, replace(SETTINGS, batchnorm="update", augment="crop_flip"))
    assert all(same(*pair) for pair in zip(before, states_of(model, small.model), strict=True))
    assert torch.equal(state, torch.get_rng_state())
    assert not any(one.training or one._forward_pre_hooks for one in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_the_result_is_a_compressed_network_that_a_file_gives_back(model, small, images, held, tmp_path):
    tuned = tune(small, model, images, held_out=held)
    assert 1 <= tuned.epoch == tuned.compressed.plan.fine_tuned_epochs <= 3
    found = tuned.compressed
    assert found.report.drop == tuned.drop_after < tuned.drop_before
    assert found.report.held_out_images == 200
    assert found.report.macs_after == small.report.macs_after
    assert not any(one.training for one in found.model.modules())
    assert all(parameter.grad is None for parameter in found.model.parameters())
    found.save(tmp_path / "tuned.safetensors")
    again = load_compressed(tmp_path / "tuned.safetensors", TinyResNet(blocks=2, channels=8))
    assert again.plan == found.plan
    assert again.report == found.report
    with torch.no_grad():
        assert torch.equal(again.model(held[0]), found.model(held[0]))
    # A network from a file is tuned on, and its epochs add up.
    further = tune(again, model, images, replace(SETTINGS, epochs=1))
    assert further.compressed.plan.fine_tuned_epochs == found.plan.fine_tuned_epochs + 1


def test_a_run_that_makes_it_worse_gives_back_the_very_network_it_got(model, images, held):
    good = compress(model, images, macs=0.8, progress=False)
    tuned = tune(good, model, images, replace(SETTINGS, learning_rate=0.003), held_out=held)
    assert min(record.drop for record in tuned.history) > tuned.drop_before
    assert tuned.compressed is good
    assert tuned.epoch == 0
    assert tuned.drop_after == tuned.drop_before


def test_the_epoch_that_loses_least_is_kept_and_without_held_out_images_the_last(model, small, images, held):
    """Rates that climb far too high: the best epoch is an early one."""
    settings = replace(SETTINGS, epochs=5, learning_rate=0.0015, warmup=0.99)
    tuned = tune(small, model, images, settings, held_out=held)
    drops = [tuned.drop_before, *(record.drop for record in tuned.history)]
    assert 0 < drops.index(min(drops)) < 5
    assert tuned.epoch == drops.index(min(drops))
    assert tuned.drop_after == min(drops)
    assert tune(small, model, images, settings).epoch == 5


class Stop(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "adamw", "learning_rate": 0.001},
        {"batchnorm": "update", "schedule": "steps", "augment": "shift", "checkpoint_every": 2},
        {"learning_rate": 0.0015, "warmup": 0.99},
    ],
    ids=["adamw", "steps", "best is early"],
)
def test_an_interrupted_run_ends_with_the_very_weights_of_an_uninterrupted_one(
    model, small, images, held, tmp_path, fields
):
    settings = replace(SETTINGS, epochs=5, **fields)
    choices = held if settings.batchnorm == "frozen" else None
    straight = tune(small, model, images, settings, held_out=choices)

    def stop(record: FineTuneRecord) -> None:
        if record.epoch == 3:
            raise Stop

    file = tmp_path / "run.safetensors"
    with pytest.raises(Stop):
        tune(small, model, images, settings, held_out=choices, checkpoint=file, on_epoch=stop)
    epochs = []
    resumed = tune(
        small, model, images, settings, held_out=choices, checkpoint=file, on_epoch=lambda one: epochs.append(one.epoch)
    )
    assert epochs == ([3, 4, 5] if settings.checkpoint_every == 2 else [4, 5])
    assert resumed.epoch == straight.epoch > 0
    assert same(*states_of(straight.compressed.model, resumed.compressed.model))
    timeless = [[dataclasses.replace(record, seconds=0.0) for record in one.history] for one in (straight, resumed)]
    assert timeless[0] == timeless[1]
    # A finished run is not run again.
    again = tune(
        small, model, images, settings, held_out=choices, checkpoint=file, on_epoch=lambda one: pytest.fail("ran again")
    )
    assert same(*states_of(again.compressed.model, resumed.compressed.model))


def test_a_checkpoint_of_another_run_is_refused(model, small, images, held, tmp_path):
    file = tmp_path / "run.safetensors"
    settings = replace(SETTINGS, epochs=1)
    tune(small, model, images, settings, held_out=held, checkpoint=file)
    with pytest.raises(InputError, match=r"was made with temperature=4.0, but these settings say 1.0") as caught:
        tune(small, model, images, replace(settings, temperature=1.0), held_out=held, checkpoint=file)
    assert "\n" not in str(caught.value)
    other = compress(model, images, macs=0.7, progress=False)
    for changed in (
        {"images": images.flip(3)},
        {"held_out": (held[0], held[1][::-1].copy())},
        {"held_out": None},
        {"small": other},
        {"model": answering(seed=1)},
    ):
        given = {"small": small, "model": model, "images": images, "held_out": held} | changed
        with pytest.raises(InputError, match="a run on other images or labels, or of other networks") as caught:
            tune(**given, settings=settings, checkpoint=file)
        assert "\n" not in str(caught.value)
    small.save(file)
    with pytest.raises(InputError, match="fine-tuning checkpoint"):
        tune(small, model, images, settings, held_out=held, checkpoint=file)


def test_frozen_norms_keep_their_statistics_and_others_do_not(model, small, images):
    for batchnorm, kept in (("frozen", True), ("update", False)):
        tuned = tune(small, model, images, replace(SETTINGS, epochs=1, batchnorm=batchnorm)).compressed.model
        means = [one.state_dict()["bn.running_mean"] for one in (small.model, tuned)]
        assert torch.equal(*means) is kept


def test_labels_alone_teach_too(model, small, images):
    with torch.no_grad():
        labels = model(images).argmax(1).numpy()
    settings = replace(SETTINGS, logits_weight=0.0, feature_weight=0.0, label_weight=1.0)
    history = tune(small, model, images, settings, labels=labels).history
    assert history[-1].label_loss < history[0].label_loss
    assert history[-1].loss == pytest.approx(history[-1].label_loss)
    assert history[-1].logits_loss == history[-1].feature_loss == 0


def test_a_network_for_some_classes_is_taught_by_the_dense_one_cut_to_them(model, images, held):
    wanted = (2, 0)
    with torch.no_grad():
        labels = model(images).argmax(1).numpy()
    small = compress(model, images, labels, macs=0.6, classes=wanted, repair=False, progress=False)
    tuned = tune(small, model, images, replace(SETTINGS, epochs=6), labels=labels)
    with torch.no_grad():
        dense = model(held[0])[:, list(wanted)]
        before, after = (one(held[0]) for one in (small.model, tuned.compressed.model))
    assert (after - dense).norm() < 0.7 * (before - dense).norm()


class Headless(TinyResNet):
    """A network whose output no layer gives."""

    def forward(self, x):
        return self.blocks(self.bn(self.stem(x)).relu()).mean((2, 3))


def test_mistakes_get_one_line(model, small, images, tmp_path):
    def refused(told, *args, **kwargs):
        with pytest.raises(InputError, match=told) as caught:
            tune(*args, **kwargs)
        assert "\n" not in str(caught.value)

    refused(
        "fine_tune takes what compress or load_compressed returned, whole, but TinyResNet", small.model, model, images
    )
    refused("is not the dense network that was compressed", small, TinyResNet(blocks=3, channels=8), images)
    refused("2 at the very least, but 1 came", small, model, images[:1])
    labelled = replace(SETTINGS, label_weight=1.0)
    refused("label_weight needs labels that are the network's output indices", small, model, images, labelled)
    names = ["cat"] * 96
    refused("label_weight needs labels that are", small, model, images, labelled, labels=names)
    refused("5 outputs, 0 to 4, but 7 to 7 came", small, model, images, labelled, labels=[7] * 96)
    refused(
        "the loss became nan in epoch 1; lower learning_rate",
        small,
        model,
        images,
        replace(SETTINGS, learning_rate=1e9),
    )
    headless = randomise_norms(Headless(blocks=1, channels=8)).eval()
    odd = compress(headless, images, macs=0.8, progress=False)
    refused("no single layer gives the output of Headless.*set feature_weight to 0", odd, headless, images)
    assert tune(odd, headless, images, replace(SETTINGS, epochs=1, feature_weight=0.0)).epoch == 1
