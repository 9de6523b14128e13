"""Comparing two networks on the same images: counted by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.compare import compare


def reader(*columns):
    """A network whose outputs are these pixels of an image."""
    layer = nn.Linear(4, len(columns), bias=False)
    layer.weight.data = torch.eye(4)[list(columns)]
    return nn.Sequential(nn.Flatten(), layer)


IMAGES = torch.eye(4).reshape(4, 1, 2, 2)


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_agreement_and_accuracy_by_hand(batch_size):
    """Image k lights pixel k, so that a network decides for the output that reads it."""
    images = Calibration(images=IMAGES, labels=np.array([0, 0, 2, 3]), batch_size=batch_size)
    found = compare(reader(0, 1, 2, 3), reader(1, 0, 2, 3), images)
    assert (found.agreement, found.accuracy_before, found.accuracy_after) == (0.5, 0.75, 0.75)
    found = compare(reader(0, 1, 2, 3), reader(1, 3, 2, 0), images)
    assert (found.agreement, found.accuracy_before, found.accuracy_after) == (0.25, 0.75, 0.5)


@pytest.mark.parametrize("labels", [None, np.array(["a", "b", "c", "d"])])
def test_without_class_indices_there_is_no_accuracy(labels):
    found = compare(reader(0, 1), reader(0, 1), Calibration(images=IMAGES, labels=labels, batch_size=4))
    assert found.agreement == 1.0
    assert found.accuracy_before is found.accuracy_after is None
