from __future__ import annotations

import numpy as np
import pytest
import torch
from training_runs import TINY, changed, run

from ncapps.errors import InputError
from ncapps.training import TrainSettings
from ncapps.training.run import Run


@pytest.mark.parametrize("name", ["cifar_resnet20", "test_vit", "test_convnext", "mobilenetv3_small_050"])
def test_other_families_train(bars, name):
    size = {"test_vit": 160, "test_convnext": 32}.get(name, 32)
    settings = TrainSettings(backbone=name, image_size=size, epochs=1, batch_size=16, device="cpu", precision="float32")
    result = run(settings, bars)
    assert np.isfinite(result.history[0].loss)
    assert result.history[0].nc1 is not None


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


def test_a_run_takes_the_network_and_its_pixels_from_the_settings_and_the_classes_from_the_images(bars):
    started = Run(TINY, torch.device("cpu"), *bars, None, None, progress=False)
    assert started.data.pixels.shape == (32, 8, 8, 3)
    assert started.steps == 4
    assert started.spec.num_classes == started.classes == 3
    assert started.history == []
