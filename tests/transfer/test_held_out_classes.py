import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.transfer import RankSettings, TransferSample
from ncapps.transfer.held_out_classes import draws, held_out_classes


def nearest_mean(known, known_codes, shots, shot_codes, asked):
    rows, codes = np.vstack([known, shots]), np.concatenate([known_codes, shot_codes])
    names = np.unique(codes)
    means = np.array([rows[codes == name].mean(axis=0) for name in names])
    return names[((asked[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)]


def test_the_parts_of_a_draw_are_apart_and_together_all():
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(10), [3, 4, 5, 6, 7, 20, 20, 20, 20, 20]))
    settings = RankSettings(shots=5, draws=8)
    for draw in draws(codes, settings):
        together = np.concatenate([draw.known, draw.shots, draw.asked])
        assert sorted(together) == list(range(len(codes)))
        assert len(draw.hidden) == 3
        assert set(codes[draw.shots]) == set(draw.hidden)
        assert not set(codes[draw.known]) & set(draw.hidden)
        assert set(np.bincount(codes[draw.shots])) <= {0, 5}
        assert set(draw.hidden) <= set(codes[draw.asked])
        # Classes of five images or fewer have none left to be asked about, so they are never hidden.
        assert min(draw.hidden) >= 3


def test_the_draws_depend_on_seed_and_classes_alone():
    codes = np.arange(60) % 6
    first, again, other = (
        [draw.shots.tolist() for draw in draws(codes, RankSettings(seed=seed, draws=3))] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert len({tuple(shots) for shots in first}) == 3


def test_the_harmonic_mean_is_of_both_accuracies(clouds):
    features, codes = clouds(n_classes=8, width=4, within=0.8)
    settings = RankSettings(shots=3, draws=6)
    sample = TransferSample.of(features, codes, settings)
    expected = []
    for draw in draws(codes, settings):
        named = nearest_mean(
            sample.reduced[draw.known], codes[draw.known], sample.reduced[draw.shots], codes[draw.shots],
            sample.reduced[draw.asked],
        )  # fmt: skip
        shares = {name: np.mean(named[codes[draw.asked] == name] == name) for name in np.unique(codes[draw.asked])}
        new = np.mean([share for name, share in shares.items() if name in draw.hidden])
        base = np.mean([share for name, share in shares.items() if name not in draw.hidden])
        expected.append(2 * base * new / (base + new))
    found = held_out_classes(sample, nearest_mean)
    np.testing.assert_allclose(found.replicates, expected)
    assert found.parts["base"] >= found.value - 0.2
    assert found.overlap == pytest.approx(2 / 6)


def test_a_rule_that_never_names_a_new_class_scores_nothing(clouds):
    sample = TransferSample.of(*clouds())
    found = held_out_classes(sample, lambda known, codes, shots, shot_codes, asked: np.full(len(asked), codes[0]))
    assert found.value == 0
    assert found.parts["new"] == 0


def test_better_features_score_higher(clouds):
    scores = [held_out_classes(TransferSample.of(*clouds(within=within))).value for within in (0.1, 0.8, 3.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.99


def test_wide_features_have_a_fair_chance(clouds):
    features, codes = clouds(n_classes=10, per_class=30, width=6, within=0.5)
    padded = np.hstack([features, 0.05 * np.random.default_rng(1).normal(size=(300, 400))])
    narrow, wide = (held_out_classes(TransferSample.of(rows, codes)).value for rows in (features, padded))
    assert abs(narrow - wide) < 0.05


def test_too_few_classes_or_images_are_told():
    with pytest.raises(InputError, match="hiding classes needs 3 classes or more, but 2 came"):
        next(draws(np.arange(20) % 2, RankSettings()))
    with pytest.raises(InputError, match="no class has more than 5 images.*give fewer shots or more images"):
        next(draws(np.arange(20) % 4, RankSettings()))
    with pytest.raises(InputError, match="no class that stays has two images"):
        next(draws(np.array([0, 0, 1, 2]), RankSettings(shots=1)))


def test_classes_of_two_images_are_asked_about_too():
    codes = np.repeat(np.arange(6), 2)
    for draw in draws(codes, RankSettings(shots=1, draws=4)):
        assert np.bincount(codes[draw.asked]).tolist() == [1] * 6
