import numpy as np
from head_data import activations, labels

from ncapps.ood import DICE, Energy
from ncapps.statistics import ClassStatistics


def test_the_weights_kept_are_those_above_the_percentile_of_the_contributions():
    X, head = activations()
    detector = DICE(percentile=75).fit(X, head=head)
    kept = detector.learned_["sparse_weight"] != 0
    contribution = head.weight * X.mean(axis=0)
    assert kept.sum() == 70
    assert contribution[kept].min() > contribution[~kept].max()
    assert np.array_equal(detector.learned_["sparse_weight"][kept], head.weight[kept])


def test_the_mean_is_that_of_the_images_not_of_the_classes():
    X, head = activations()
    y = np.where(np.arange(60) < 50, 0, 1)
    both = [DICE().fit(X, other, head=head).score_samples(X) for other in (y, labels(60))]
    assert np.allclose(*both, rtol=1e-12)
    parts = ClassStatistics.from_features(X[:9], y[:9]) + ClassStatistics.from_features(X[9:], y[9:])
    assert np.allclose(DICE().fit_statistics(parts, head).score_samples(X), both[0], rtol=1e-10)


def test_without_contributions_nothing_but_the_bias_is_left():
    X, head = activations()
    dead = DICE().fit(np.zeros_like(X), head=head)
    assert np.allclose(dead.score_samples(X), np.log(np.exp(head.bias).sum()))
    # Almost every weight is kept: almost Energy.
    full, energy = DICE(percentile=0).fit(X, head=head), Energy().fit(X, head=head)
    assert (full.learned_["sparse_weight"] != head.weight).sum() == 1
    assert np.median(np.abs(full.score_samples(X) - energy.score_samples(X))) < 1
