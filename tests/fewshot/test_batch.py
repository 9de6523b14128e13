import numpy as np
import pytest
from blobs import blobs

from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.fewshot.metrics import metric_named
from ncapps.fewshot.transductive import TRANSDUCTIVE


def fitted(metric="plda", shots=1, spread=2.2, seed=0):
    """Return a classifier with five added classes, a batch of theirs, and the batch's own names."""
    X, y = blobs(classes=10, each=60, width=20, spread=spread, seed=seed)
    known = np.arange(len(X)) < 300
    classifier = PrototypeClassifier(metric=metric, knobs={}, temperature=1.0).fit(X[known], y[known])
    new, names = X[~known], y[~known]
    chosen = np.concatenate([np.flatnonzero(names == name)[:shots] for name in np.unique(names)])
    for name in np.unique(names):
        classifier.add_class(name, new[names == name][:shots])
    for name in np.unique(y[known]):
        classifier.remove_class(name)
    return classifier, np.delete(new, chosen, axis=0), np.delete(names, chosen)


@pytest.mark.parametrize("method", TRANSDUCTIVE)
@pytest.mark.parametrize("metric", METRICS)
def test_a_batch_is_named_and_nothing_is_kept_of_it(metric, method):
    classifier, X, y = fitted(metric, shots=5, spread=0.3)
    state, alone = classifier.state_hash(), classifier.scores(X[:1])
    first = classifier.predict_batch(X, transductive=method)
    assert np.mean(first == y) > 0.95
    # Another batch between, and the answers are the same bits.
    classifier.predict_batch(X[::-3] + 1, transductive=method)
    assert np.array_equal(classifier.predict_batch(X, transductive=method), first)
    assert classifier.state_hash() == state
    assert np.array_equal(classifier.scores(X[:1]), alone)


@pytest.mark.parametrize("metric", METRICS)
def test_the_answer_to_one_image_never_depends_on_earlier_calls(metric):
    classifier, X, _ = fitted(metric)
    fresh, _, _ = fitted(metric)
    for one in X[:3]:
        for method in TRANSDUCTIVE:
            classifier.predict_batch(X[:40], transductive=method)
        classifier.predict(X)
        assert np.array_equal(classifier.scores(one[None]), fresh.scores(one[None]))


@pytest.mark.parametrize("method", TRANSDUCTIVE)
def test_the_order_of_the_batch_does_not_matter(method):
    classifier, X, _ = fitted()
    order = np.random.default_rng(0).permutation(len(X))
    found = classifier.predict_batch(X, transductive=method)
    assert np.mean(classifier.predict_batch(X[order], transductive=method) == found[order]) > 0.99


@pytest.mark.parametrize("method", TRANSDUCTIVE)
def test_a_balanced_batch_of_new_classes_is_named_better_from_one_image_each(method):
    gain = []
    for seed in range(6):
        classifier, X, y = fitted("cl2n", seed=seed)
        together = classifier.predict_batch(X, transductive=method)
        gain.append(np.mean(together == y) - np.mean(classifier.predict(X) == y))
    assert np.mean(gain) > 0.02


def test_under_cl2n_a_batch_that_is_not_smoothed_is_named_by_rectified_prototypes_in_the_metrics_own_space():
    classifier, X, _ = fitted("cl2n")
    metric = metric_named("cl2n")
    rows = metric.prepare(classifier.frame_, X)
    expected = TRANSDUCTIVE["laplacian"](rows, classifier.prototypes_, classifier.table_.counts, smoothness=0.0)
    found = classifier.predict_batch(X, transductive="laplacian", smoothness=0.0)
    assert np.array_equal(found, classifier.classes_[expected.argmax(axis=1)])


@pytest.mark.parametrize("method", TRANSDUCTIVE)
def test_no_image_is_no_answer(method):
    classifier, X, _ = fitted()
    assert classifier.predict_batch(X[:0], transductive=method).shape == (0,)


def test_errors_name_the_cause():
    classifier, X, _ = fitted()
    with pytest.raises(InputError, match="method 'magic' is not known; choose one of bd_cspn, laplacian, sinkhorn"):
        classifier.predict_batch(X, transductive="magic")
    with pytest.raises(InputError, match="'bd_cspn' has no option 'neighbors'; its options: sharpness, scale, shift"):
        classifier.predict_batch(X, transductive="bd_cspn", neighbors=3)
    with pytest.raises(InputError, match="X has 3 features, but PrototypeClassifier is expecting 20"):
        classifier.predict_batch(X[:, :3], transductive="bd_cspn")
    with pytest.raises(TypeError):
        classifier.predict_batch(X)
