from __future__ import annotations

import numpy as np
import pytest

from ncapps.benchmarks.omniglot import ErrorRate, drawing_features, one_shot_mistakes, view
from ncapps.benchmarks.omniglot_data import OneShotRun
from ncapps.errors import InputError
from ncapps.features import FeatureExtractor
from ncapps.fewshot import METRICS, PrototypeClassifier

WIDTH = 6


@pytest.fixture(scope="module")
def background():
    rng = np.random.default_rng(0)
    labels = np.repeat([f"Latin/character{place:02d}" for place in range(5)], 8)
    means = np.repeat(rng.normal(size=(5, WIDTH)), 8, axis=0)
    return means + 0.1 * rng.normal(size=means.shape), labels


@pytest.fixture(scope="module")
def runs():
    """Return two runs of four characters: rows 0-3 and 8-11 known, 4-7 and 12-15 asked, the second run's reversed."""
    rows = np.arange(4)
    return (
        OneShotRun(training=rows, test=rows + 4, answers=rows),
        OneShotRun(training=rows + 8, test=rows + 12, answers=rows[::-1]),
    )


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 4, WIDTH))
    asked = [rows + 0.01 * rng.normal(size=rows.shape) for rows in (first, second[::-1])]
    return np.concatenate([first, asked[0], second, asked[1]])


def test_the_interval_is_wilsons():
    rate, z = ErrorRate(wrong=52, trials=400), 1.959963984540054
    center = (0.13 + z**2 / 800) / (1 + z**2 / 400)
    half = z / (1 + z**2 / 400) * np.sqrt(0.13 * 0.87 / 400 + z**2 / (4 * 400**2))
    assert rate.error == 0.13
    np.testing.assert_allclose(rate.interval, (center - half, center + half), atol=1e-12)
    assert ErrorRate(wrong=0, trials=400).interval[0] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_near_drawings_are_named_right_and_swapped_answers_wrong(background, features, runs, metric):
    classifier = PrototypeClassifier(metric=metric).fit(*background)
    before = classifier.state_hash()
    # Ridge regresses onto names instead of measuring nearness: what is near need not win.
    allowed = 0.2 if metric in ("ridge", "ranpac") else 0
    assert one_shot_mistakes(classifier, features, runs).mean() <= allowed
    swapped = [OneShotRun(training=run.training, test=run.test, answers=run.answers ^ 1) for run in runs]
    assert one_shot_mistakes(classifier, features, swapped).mean() >= 1 - allowed
    assert classifier.state_hash() == before


def test_only_the_runs_characters_may_be_the_answer(background, features, runs):
    classifier = PrototypeClassifier(metric="cosine").fit(*background)
    lost = features.copy()
    lost[runs[0].test] = background[0][:4]
    grown = PrototypeClassifier(metric="cosine").fit(*background)
    for row in runs[0].training:
        grown.add_class(f"new {row}", lost[[row]])
    own = grown.scores(lost[runs[0].test])[:, np.char.startswith(grown.classes_, "new")]
    expected = own.argmax(axis=1) != runs[0].answers
    np.testing.assert_array_equal(one_shot_mistakes(classifier, lost, runs[:1]), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_an_answer_does_not_depend_on_the_other_test_drawings(background, features, runs, metric):
    rng = np.random.default_rng(2)
    noisy = features + rng.normal(size=features.shape)
    classifier = PrototypeClassifier(metric=metric).fit(*background)
    together = one_shot_mistakes(classifier, noisy, runs)
    assert 0 < together.sum() < len(together)
    alone = [
        OneShotRun(training=run.training, test=run.test[[trial]], answers=run.answers[[trial]])
        for run in runs
        for trial in range(len(run.test))
    ]
    np.testing.assert_array_equal(one_shot_mistakes(classifier, noisy, alone), together)


def test_no_run_is_refused(background, features):
    classifier = PrototypeClassifier(metric="cosine").fit(*background)
    with pytest.raises(InputError, match="no run"):
        one_shot_mistakes(classifier, features, [])


@pytest.mark.parametrize("kind", ["shift", "strokes"])
def test_a_view_changes_every_drawing_alike(kind):
    pixels = np.random.default_rng(3).integers(0, 256, (5, 16, 16), dtype=np.uint8)
    seen = view(pixels, kind, seed=7)
    assert seen.shape == pixels.shape
    assert seen.dtype == np.uint8
    assert (seen != pixels).any()
    np.testing.assert_array_equal(view(pixels[3:4], kind, seed=7)[0], seen[3])
    assert (view(pixels, kind, seed=8) != seen).any()


def test_features_are_unit_rows_and_of_each_drawing_alone():
    extractor = FeatureExtractor(
        "cifar_resnet20", pretrained=False, precision="float32", compile=False, workers=0, progress=False
    )
    pixels = np.random.default_rng(4).integers(0, 256, (4, 32, 32), dtype=np.uint8)
    plain, averaged = (drawing_features(extractor, pixels, views=views) for views in (0, 2))
    np.testing.assert_allclose(np.linalg.norm(averaged, axis=1), 1)
    assert np.abs(plain - averaged).max() > 1e-3
    np.testing.assert_allclose(drawing_features(extractor, pixels[2:3], views=2), averaged[2:3], atol=1e-5)
