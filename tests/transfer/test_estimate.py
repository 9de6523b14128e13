import numpy as np
import pytest
from scipy.stats import t

from ncapps.errors import InputError
from ncapps.transfer import Estimate


def test_independent_replicates_have_students_interval():
    values = np.random.default_rng(0).normal(3.0, 2.0, 30)
    expected = t.interval(0.95, 29, values.mean(), values.std(ddof=1) / np.sqrt(30))
    np.testing.assert_allclose(Estimate(replicates=values).interval(), expected)


def test_more_draws_of_the_same_images_do_not_make_it_certain():
    values = np.tile([0.0, 1.0], 5000)
    low, high = Estimate(replicates=values, overlap=0.4).interval()
    assert high - low == pytest.approx(2 * 1.96 * 0.5 * np.sqrt(0.4), rel=1e-3)
    assert np.ptp(Estimate(replicates=values).interval()) < 0.03


def test_what_both_share_cancels_in_the_difference():
    shared, random = np.linspace(0, 1, 20), np.random.default_rng(0)
    a = Estimate(replicates=shared + 0.02 + 0.001 * random.normal(size=20), overlap=0.4)
    b = Estimate(replicates=shared, overlap=0.4)
    assert a.interval()[0] < b.interval()[1]
    assert a.minus(b).interval()[0] > 0.015
    assert b.minus(a).value == pytest.approx(-a.minus(b).value)


def test_itself_is_no_different():
    one = Estimate(replicates=np.array([0.2, 0.9]))
    assert one.minus(one).interval() == (0.0, 0.0)


def test_one_replicate_tells_nothing_of_its_spread():
    assert Estimate(replicates=np.array([1.0])).interval() == (-np.inf, np.inf)


def test_other_draws_cannot_be_paired():
    with pytest.raises(InputError, match="3 replicates can't be paired with 2"):
        Estimate(replicates=np.zeros(3)).minus(Estimate(replicates=np.zeros(2)))


def test_the_interval_of_overlapping_splits_covers_where_the_plain_one_does_not():
    """Random splits of the same 60 images: the plain interval is far too narrow for the mean of new images."""
    random, covered = np.random.default_rng(0), {0.0: 0, 0.43: 0}
    for _ in range(300):
        images = random.normal(size=60)
        draws = np.array([random.permutation(images)[:18].mean() for _ in range(20)])
        for overlap in covered:
            low, high = Estimate(replicates=draws, overlap=overlap).interval()
            covered[overlap] += low <= 0 <= high
    assert covered[0.43] > 0.9 * 300
    assert covered[0.0] < 0.75 * 300
