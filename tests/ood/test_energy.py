import numpy as np
from head_data import activations

from ncapps.ood import Energy, MaxLogit


def test_it_lies_between_the_largest_logit_and_that_plus_t_log_c():
    X, head = activations()
    largest = MaxLogit().fit(X, head=head).score_samples(X)
    for temperature in (0.1, 1.0, 10.0):
        gap = Energy(temperature).fit(X, head=head).score_samples(X) - largest
        assert gap.min() >= 0
        assert gap.max() <= temperature * np.log(7)
        assert gap.max() > 1e-3 * temperature


def test_a_cold_energy_is_the_largest_logit():
    X, head = activations()
    cold = Energy(1e-6).fit(X, head=head).score_samples(X)
    assert np.allclose(cold, MaxLogit().fit(X, head=head).score_samples(X), atol=1e-5)
