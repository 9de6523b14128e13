import numpy as np
import pytest
from head_data import activations

from ncapps.ood import KLMatching


def identity_head(classes):
    head = activations(width=classes, classes=classes)[1]
    head.weight, head.bias = np.eye(classes), None
    return head


def test_the_divergence_from_hand_made_templates():
    p = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.7, 0.2]])
    detector = KLMatching().fit(np.log(p), head=identity_head(3))
    # Predicted as 0: the first two; as 1: the third; as 2: none.
    templates = np.array([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2]])
    assert np.allclose(np.exp(detector.learned_["log_templates"]), templates)
    query = np.array([0.2, 0.3, 0.5])
    expected = -min((query * np.log(query / d)).sum() for d in templates)
    assert detector.score_samples(np.log(query)[None]) == pytest.approx([expected], rel=1e-12)


def test_the_labels_do_not_count():
    X, head = activations()
    one = KLMatching().fit(X, head=head).score_samples(X)
    other = KLMatching().fit(X, np.random.default_rng(0).integers(7, size=60), head=head).score_samples(X)
    assert np.array_equal(one, other)
    assert one.max() <= 1e-12


def test_sure_predictions_have_finite_scores_that_still_tell_how_far_they_are():
    known = 2000 * np.eye(3)[[0, 1]]
    detector = KLMatching().fit(known, head=identity_head(3))
    queries = np.array([[2000.0, 0, 0], [0, 0, 1000.0], [0, 0, 2000.0], [1000.0, 0, 2000.0]])
    # Sure of the class that no known image is predicted as: as far as the nearest template's logarithm says.
    assert np.allclose(detector.score_samples(queries), [0, -2000, -2000, -2000])
