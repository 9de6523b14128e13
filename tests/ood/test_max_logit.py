import numpy as np
from head_data import activations

from ncapps.ood import MaxLogit


def test_the_score_is_the_largest_logit_and_follows_a_shift_of_the_bias():
    X, head = activations()
    scores = MaxLogit().fit(X, head=head).score_samples(X)
    assert np.allclose(scores, [max(w @ x + b for w, b in zip(head.weight, head.bias, strict=True)) for x in X])
    head.bias = head.bias + 5
    assert np.allclose(MaxLogit().fit(X, head=head).score_samples(X), scores + 5)
