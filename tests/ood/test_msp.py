import numpy as np
from head_data import activations

from ncapps.ood import MSP


def test_the_score_is_the_largest_probability_of_a_hand_made_head():
    _, head = activations(width=2, classes=2)
    head.weight, head.bias = np.eye(2), np.log([1.0, 3.0])
    detector = MSP().fit(np.eye(2), head=head)
    assert np.allclose(detector.score_samples([[0.0, 0.0], [np.log(9.0), 0.0]]), [0.75, 0.75])


def test_it_lies_between_one_over_the_classes_and_one_and_bias_shifts_do_not_count():
    X, head = activations()
    scores = MSP().fit(X, head=head).score_samples(X)
    assert 1 / 7 <= scores.min() < scores.max() <= 1
    head.bias = head.bias + 100
    assert np.allclose(MSP().fit(X, head=head).score_samples(X), scores, rtol=1e-12)
