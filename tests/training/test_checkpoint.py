from __future__ import annotations

import dataclasses

import pytest
import torch
from training_runs import TINY, changed, run

from ncapps.errors import InputError
from ncapps.training import EpochRecord


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("head", ["learned", "class_means"])
def test_an_interrupted_run_ends_with_the_very_weights_of_an_uninterrupted_one(bars, tmp_path, optimizer, head):
    settings = changed(
        epochs=4,
        head=head,
        feature_scale=8.0,
        turned_fraction=0.25,
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
    for name, value in straight.model.state_dict().items():
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
