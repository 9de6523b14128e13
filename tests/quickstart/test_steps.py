from types import SimpleNamespace

import numpy as np
import torch

from ncapps.features import open_images
from ncapps.quickstart.steps import head_accuracy, known_batch


class Scaling:
    def pixels(self, image):
        return np.asarray(image)

    def normalise(self, pixels):
        return pixels.permute(0, 3, 1, 2).float() / 255


TRAINED = SimpleNamespace(backbone=SimpleNamespace(preprocessing=Scaling()), classes=(3, 5))


def test_a_batch_keeps_images_and_labels_together():
    images = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (0, 255, 51)])
    batch, codes = known_batch(TRAINED, open_images(images, [3, 5, 3]))
    assert codes.tolist() == [0, 1, 0]
    assert batch[:, 0, 0, 0].tolist() == [0.0, 1.0, torch.tensor(0.2).item()]


def test_accuracy_of_the_heads_own_answers():
    model = torch.nn.Identity()
    assert head_accuracy(model, torch.eye(2), np.array([0, 0])) == 0.5
