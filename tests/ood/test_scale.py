import numpy as np
import pytest
from head_data import activations

from ncapps.ood import ASHS, SCALE


@pytest.mark.parametrize(("percentile", "kept"), [(85, 6), (65, 14), (0, 40)])
def test_scaling_the_logits_is_scaling_the_features(percentile, kept):
    X, head = activations()
    factors = [np.exp(x.sum() / np.sort(x)[-kept:].sum()) for x in X]
    expected = [np.log(np.exp(head.weight @ (r * x) + head.bias).sum()) for r, x in zip(factors, X, strict=True)]
    assert np.allclose(SCALE(percentile).fit(X, head=head).score_samples(X), expected, rtol=1e-10)


def test_where_nothing_is_dropped_ash_and_scale_are_one():
    X, head = activations()
    both = [kind(0).fit(X, head=head).score_samples(X) for kind in (ASHS, SCALE)]
    assert np.allclose(*both, rtol=1e-12)
    apart = [kind(85).fit(X, head=head).score_samples(X) for kind in (ASHS, SCALE)]
    assert not np.allclose(*apart, rtol=1e-2)
