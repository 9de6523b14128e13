import numpy as np
import pytest

from ncapps.collapse import measure_collapse
from ncapps.errors import InputError
from ncapps.transfer import RankSettings, TransferSample
from ncapps.transfer.collapse_scores import cdnv, nc1
from ncapps.transfer.sample import choose_images


def test_the_collapse_scores_are_those_of_the_report(clouds):
    features, codes = clouds()
    report = measure_collapse(features, codes)
    sample = TransferSample.of(features, codes)
    assert nc1(sample) == pytest.approx(report.nc1)
    assert cdnv(sample) == pytest.approx(report.cdnv)


def test_classes_that_coincide_are_not_collapsed():
    sample = TransferSample.of(np.ones((4, 3)), [0, 0, 1, 1])
    assert nc1(sample) == cdnv(sample) == np.inf


def test_any_labels_become_numbers_in_the_order_of_their_names():
    sample = TransferSample.of(np.zeros((4, 2)), ["kiwi", "apple", "kiwi", "fig"])
    assert sample.codes.tolist() == [2, 0, 2, 1]
    assert sample.counts.tolist() == [1, 1, 2]


@pytest.mark.parametrize("width", [8, 300])
def test_reduced_features_keep_the_distances_of_the_strongest_directions(clouds, width):
    features, codes = clouds(width=width)
    reduced = TransferSample.of(features, codes).reduced
    assert reduced.shape[1] == min(width, 16)
    centered = features - features.mean(axis=0)
    expected = np.linalg.svd(centered, compute_uv=False)[: reduced.shape[1]]
    np.testing.assert_allclose(np.linalg.norm(reduced, axis=0), expected, rtol=1e-8)
    if width == 8:
        np.testing.assert_allclose(reduced @ reduced.T, centered @ centered.T, atol=1e-9)


def test_constant_features_are_reduced_to_one_column_of_zeros():
    assert TransferSample.of(np.ones((4, 3)), [0, 0, 1, 1]).reduced.tolist() == [[0.0]] * 4


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (np.zeros((3, 2)), ["a"] * 3, "two or more are needed, but 1 came"),
        (np.zeros((3, 2)), ["a", "b"], "3 images came with 2 labels"),
        (np.full((3, 2), np.nan), ["a", "b", "b"], "NaN or infinity in 3 of 3 rows"),
        (np.zeros((3, 2)), ["a", "b", "c"], "each of the 3 classes has one image only"),
    ],
)
def test_bad_input_is_told(features, labels, words):
    with pytest.raises(InputError, match=words):
        TransferSample.of(features, labels)


class TestChoosing:
    labels = np.repeat(np.arange(20), [3, 5, *[40] * 18])

    def test_the_choice_is_as_even_as_the_classes_allow(self):
        chosen = choose_images(self.labels, RankSettings(budget=280))
        counts = np.bincount(self.labels[chosen])
        assert len(chosen) == 280 == len(set(chosen))
        assert counts[:2].tolist() == [3, 5]
        assert set(counts[2:]) <= {15, 16}
        assert (np.diff(chosen) > 0).all()

    def test_a_small_budget_takes_fewer_classes_rather_than_too_few_images_of_each(self):
        chosen = choose_images(np.repeat(np.arange(500), 40), RankSettings(budget=1000, shots=5))
        counts = np.bincount(np.repeat(np.arange(500), 40)[chosen], minlength=500)
        assert (counts > 0).sum() == 100
        assert set(counts[counts > 0]) == {10}

    def test_the_seed_decides(self):
        first, again, other = (choose_images(self.labels, RankSettings(budget=90, seed=s)).tolist() for s in (0, 0, 1))
        assert first == again
        assert first != other

    @pytest.mark.parametrize("budget", [0, 728, 10_000])
    def test_enough_budget_takes_all(self, budget):
        assert choose_images(self.labels, RankSettings(budget=budget)).tolist() == list(range(728))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"budget": -1}, "budget must be 0 or more"),
        ({"shots": 0}, "shots must be 1 or more"),
        ({"draws": 1}, "draws must be 2 or more"),
        ({"hidden_share": 1.0}, "hidden_share is a part of the classes"),
    ],
)
def test_bad_settings_are_told(values, words):
    with pytest.raises(InputError, match=words):
        RankSettings(**values)
