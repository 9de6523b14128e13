import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
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
