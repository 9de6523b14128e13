import numpy as np
from head_data import activations

from ncapps.ood import Energy, ReAct


def test_activations_are_cut_at_the_percentile_of_the_held_out_ones():
    X, head = activations()
    held_out = activations(seed=4, scale=0.5)[0]
    ceiling = np.percentile(held_out, 90)
    detector = ReAct().fit(X, head=head, X_val=held_out)
    cut = Energy().fit(X, head=head).score_samples(np.minimum(X, ceiling))
    assert np.allclose(detector.score_samples(X), cut, rtol=1e-12)
    assert np.array_equal(detector.score_samples(X + 100), detector.score_samples(X + 200))


def test_at_the_hundredth_percentile_the_fitted_images_are_left_as_they_are():
    X, head = activations()
    full = ReAct(percentile=100).fit(X, head=head)
    assert np.array_equal(full.score_samples(X), Energy().fit(X, head=head).score_samples(X))
