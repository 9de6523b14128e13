import numpy as np
import pytest

from ncapps.transfer import SCORES, Estimate, TransferSample


@pytest.mark.parametrize("name", SCORES)
def test_every_score_prefers_tight_classes_in_its_direction(name, clouds):
    """Good features, then worse ones; NCTI sees both, as it has to."""
    score = SCORES[name]
    good, bad = score.estimates([score.measure(TransferSample.of(*clouds(within=within))) for within in (0.2, 3.0)])
    assert (good.value > bad.value) == score.higher


@pytest.mark.parametrize("name", SCORES)
def test_the_order_of_images_does_not_matter_but_to_draws(name, clouds):
    features, codes = clouds(within=1.0)
    order = np.random.default_rng(1).permutation(len(codes))
    measure, twice = SCORES[name].measure, []
    for rows in (np.arange(len(codes)), order):
        twice.append(measure(TransferSample.of(features[rows], codes[rows])))
    values = [one.value if isinstance(one, Estimate) else one for one in twice]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-7, atol=0.05 if name == "held_out_classes" else 1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_collapsed_and_constant_features_give_numbers(name):
    codes = np.arange(40) % 4
    for features in (np.eye(4)[codes], np.ones((40, 3))):
        measured = SCORES[name].measure(TransferSample.of(features, codes))
        assert not np.isnan(SCORES[name].estimates([measured])[0].value)
