import numpy as np
import pytest

from ncapps.benchmarks.metrics import accuracy, auroc, confusion, harmonic_mean
from ncapps.errors import InputError


def test_auroc_is_the_share_of_ordered_pairs_ties_half():
    known, unknown = np.array([3.0, 2.0, 2.0]), np.array([1.0, 2.0])
    pairs = [(k > u) + 0.5 * (k == u) for k in known for u in unknown]
    assert auroc(known, unknown) == pytest.approx(np.mean(pairs))


def test_auroc_law_of_signs():
    random = np.random.default_rng(0)
    a, b = random.standard_normal(50), random.standard_normal(70)
    assert auroc(a, b) == pytest.approx(1 - auroc(b, a))
    assert auroc(a, b) == pytest.approx(auroc(np.exp(a), np.exp(b)))


def test_accuracy_and_harmonic_mean():
    assert accuracy(np.array(["a", "b"]), np.array(["a", "c"])) == 0.5
    assert harmonic_mean(0.5, 1.0) == pytest.approx(2 / 3)
    assert harmonic_mean(0.0, 0.0) == 0.0


def test_confusion_has_true_classes_in_rows():
    assert confusion(np.array([1, 1, 2]), np.array([1, 2, 2]), (1, 2)).tolist() == [[1, 0], [1, 1]]


def test_errors_name_the_cause():
    with pytest.raises(InputError, match="known and unknown images, but 0 and 2 came"):
        auroc(np.zeros(0), np.zeros(2))
    with pytest.raises(InputError, match="as many predictions as labels, but 1 and 2 came"):
        accuracy(np.zeros(1), np.zeros(2))
