import numpy as np
import pytest
from head_data import activations

from ncapps.ood import GEN


def identity_head(classes):
    head = activations(width=classes, classes=classes)[1]
    head.weight, head.bias = np.eye(classes), None
    return head


def test_only_the_largest_m_count():
    logits = np.log([[0.5, 0.2, 0.2, 0.1]])
    for m, counted in ((1, [0.5]), (2, [0.5, 0.2]), (4, [0.5, 0.2, 0.2, 0.1]), (100, [0.5, 0.2, 0.2, 0.1])):
        expected = -sum((p * (1 - p)) ** 0.3 for p in counted)
        scores = GEN(gamma=0.3, M=m).fit(logits, head=identity_head(4)).score_samples(logits)
        assert scores == pytest.approx([expected], rel=1e-12)


def test_sure_images_are_still_told_apart():
    # From a gap of about 37 on, 1 - p of the winner is 0 in float64.
    logits = np.zeros((40, 2))
    logits[:, 0] = np.linspace(30, 300, 40)
    scores = GEN().fit(logits, head=identity_head(2)).score_samples(logits)
    assert np.allclose(scores, -2 * np.exp(-0.1 * logits[:, 0]), rtol=1e-9)
    assert (np.diff(scores) > 0).all()


def test_a_uniform_prediction_has_the_lowest_score():
    X, head = activations()
    detector = GEN().fit(X, head=head)
    head.weight = np.zeros_like(head.weight)
    head.bias = None
    assert (detector.score_samples(X) > GEN().fit(X, head=head).score_samples(X)).all()
