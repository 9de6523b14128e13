import numpy as np
import pytest
import torch

from ncapps.commands.calibration_images import read_calibration_images
from ncapps.errors import InputError
from ncapps.features import Backbone


@pytest.fixture
def backbone():
    return Backbone("cifar_resnet20", pretrained=False, num_classes=3)


def test_a_seeded_choice_with_its_labels_and_what_could_not_be_read(photos, backbone):
    images, labels, skipped = read_calibration_images(str(photos), backbone, 1000, 0)
    assert images.shape == (36, 3, 32, 32)
    assert sorted(labels) == sorted(12 * ["blue", "green", "red"])
    assert [key for key, _ in skipped] == ["red/broken.png"]
    few, few_labels, _ = read_calibration_images(str(photos), backbone, 5, 0)
    assert torch.equal(few, images[:5])
    assert few_labels == labels[:5]
    assert not torch.equal(read_calibration_images(str(photos), backbone, 5, 1)[0], few)


def test_images_are_the_networks_input(photos, backbone):
    """Each colour's photos lie on their side of the mean, as ImageNet's normalisation has it."""
    images, labels, _ = read_calibration_images(str(photos), backbone, 36, 0)
    channel = {"red": 0, "green": 1, "blue": 2}
    brightest = images.mean((2, 3)).argmax(dim=1).numpy()
    assert np.mean(brightest == [channel[label] for label in labels]) == 1.0


def test_mistakes_get_one_line(photos, backbone, tmp_path):
    with pytest.raises(InputError, match="--images must be 1 or more, but 0 came"):
        read_calibration_images(str(photos), backbone, 0, 0)
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="no image of .* could be read"):
        read_calibration_images(str(tmp_path), backbone, 5, 0)
