import numpy as np
import pytest
from scipy.special import softmax

from ncapps.covariance import oas_amount, shrink
from ncapps.errors import InputError
from ncapps.fewshot import PrototypeClassifier
from ncapps.fewshot.cl2n import Cl2n
from ncapps.fewshot.cosine import Cosine
from ncapps.fewshot.euclidean import Euclidean
from ncapps.fewshot.mahalanobis import Mahalanobis
from ncapps.fewshot.metric import Metric, added_offset, as_arrays
from ncapps.fewshot.metrics import METRICS, metric_named
from ncapps.fewshot.plda import Plda
from ncapps.fewshot.ridge import ProjectedRidge, Ridge
from ncapps.fewshot.teen import Teen
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics

NAMES = list(METRICS)


def world(width=7, classes=5, each=40, seed=0, spread=0.6):
    random = np.random.default_rng(seed)
    centers = 2 * random.standard_normal((classes, width))
    y = np.repeat(np.arange(classes), each)
    scales = np.linspace(0.3, 2, width)
    return centers[y] + spread * scales * random.standard_normal((len(y), width)), y


def learned(name, X, y, knobs=None):
    metric = metric_named(name)
    frame = metric.frame(X, 0)
    statistics = ClassStatistics.from_features(metric.prepare(frame, X), y)
    return metric, frame, statistics, metric.learn(statistics, metric.defaults | (knobs or {}))


def test_every_name_stands_for_one_metric_and_the_default_comes_first():
    assert list(METRICS.values()) == [Plda, Mahalanobis, Euclidean, Cosine, Cl2n, Teen, Ridge, ProjectedRidge]
    assert NAMES[0] == PrototypeClassifier().metric


@pytest.mark.parametrize("name", NAMES)
def test_fitted_classes_find_their_own_images(name):
    X, y = world()
    metric, frame, statistics, geometry = learned(name, X, y)
    placed = metric.place(geometry, statistics.means, statistics.counts)
    assert (metric.scores(geometry, placed, metric.prepare(frame, X)).argmax(axis=1) == y).mean() > 0.95


@pytest.mark.parametrize("name", NAMES)
def test_an_added_class_moves_no_other_score_unless_the_metric_combines(name):
    X, y = world()
    metric, frame, statistics, geometry = learned(name, X, y)
    fitted = metric.place(geometry, statistics.means, statistics.counts)
    rows = metric.prepare(frame, X[:5] + 3)
    added = metric.place_added(geometry, rows.mean(axis=0, keepdims=True), np.array([5]))
    beside, _ = metric.combine(geometry, fitted, added)
    Q = metric.prepare(frame, X)
    same = np.array_equal(metric.scores(geometry, beside, Q), metric.scores(geometry, fitted, Q))
    assert same == (type(metric).combine is Metric.combine)


@pytest.mark.parametrize("name", NAMES)
def test_candidates_score_as_the_settings_they_stand_for(name):
    X, y = world()
    metric, frame, statistics, _ = learned(name, X, y)
    Q = metric.prepare(frame, X[::17])
    counts = np.array([3, 3])
    shots = Q[:2] + 0.1
    found = 0
    for knobs, turned, (means, own, images) in metric.candidates(statistics, shots, Q):
        knobs = {"offset_1": 0.0, "offset_5": 0.0} | knobs
        turned = {**turned, **as_arrays({}, "offset_1", "offset_5")}
        straight = metric.learn(statistics, knobs)
        for geometry, (fitted_means, shot_means, rows) in (
            (turned, (means, own, images)),
            (straight, (statistics.means, shots, Q)),
        ):
            fitted = metric.place(geometry, fitted_means, statistics.counts)
            both = metric.combine(geometry, fitted, metric.place_added(geometry, shot_means, counts))
            scores = np.hstack([metric.scores(geometry, part, rows) for part in both])
            if geometry is turned:
                expected = scores
        assert np.allclose(scores, expected, rtol=1e-6, atol=1e-6 * np.abs(scores).max())
        found += 1
    assert found == np.prod([len(grid) for grid in metric.knobs.values()], dtype=int)


def test_cosine_is_taken_about_the_centre():
    metric, placed = metric_named("cosine"), {"direction": np.eye(2)}
    scores = metric.scores({"center": np.array([10.0, 10.0])}, placed, np.array([[12.0, 10.0], [10.0, 10.0]]))
    assert np.allclose(scores, [[1.0, 0.0], [0.0, 0.0]])


def test_cl2n_is_simpleshot_written_out():
    X, y = world()
    metric, frame, statistics, geometry = learned("cl2n", X, y)
    phi = (X - X.mean(axis=0)) / np.linalg.norm(X - X.mean(axis=0), axis=1, keepdims=True)
    prototypes = np.stack([phi[y == c].mean(axis=0) for c in range(5)])
    expected = -((phi[:, None] - prototypes) ** 2).sum(axis=2)
    placed = metric.place(geometry, statistics.means, statistics.counts)
    assert np.allclose(metric.scores(geometry, placed, metric.prepare(frame, X)), expected)
    with pytest.raises(InputError, match="averages features of unit length"):
        metric.frame_of_statistics(statistics)


def test_teen_draws_an_added_class_towards_the_fitted_ones_it_resembles():
    X, y = world()
    metric, _, statistics, geometry = learned("teen", X, y, {"calibration": 0.3, "sharpness": 16.0})
    new = X[:1] + 0.5
    base, own = unit_rows(statistics.means), unit_rows(new)
    drawn = unit_rows(softmax(16 * own @ base.T, axis=1) @ base)
    assert np.allclose(metric.place_added(geometry, new, np.ones(1))["direction"], unit_rows(0.7 * own + 0.3 * drawn))
    assert np.allclose(metric.place(geometry, new, np.ones(1))["direction"], own)


def test_mahalanobis_is_the_tied_gaussian_written_out():
    X, y = world(width=4, classes=3, each=100)
    metric, _, stats, geometry = learned("mahalanobis", X, y)
    scores = metric.scores(geometry, metric.place(geometry, stats.means, stats.counts), X)
    inverse = np.linalg.inv(shrink(stats.within_covariance, oas_amount(stats.within_covariance, 300)))
    gap = X[:, None] - stats.means
    distances = np.einsum("ncd,de,nce->nc", gap, inverse, gap)
    unit = distances[np.arange(300), y].mean()
    assert np.allclose(scores, 0.01 - distances / unit)


def test_mahalanobis_gives_a_mean_of_few_images_more_room():
    X, y = world()
    metric, _, statistics, geometry = learned("mahalanobis", X, y)
    placed = metric.place(geometry, statistics.means[[0, 0]], np.array([1000, 5]))
    scores = metric.scores(geometry, placed, X[:1])[0]
    assert scores[1] - scores[0] == pytest.approx(1 / 5 - 1 / 1000)


@pytest.mark.parametrize("name", NAMES)
def test_classes_without_any_spread_give_finite_scores(name):
    metric, frame, statistics, geometry = learned(name, np.eye(3), ["a", "b", "c"])
    placed = metric.place(geometry, statistics.means, statistics.counts)
    scores = metric.scores(geometry, placed, metric.prepare(frame, np.eye(3)))
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == np.arange(3)).all()


def test_ridge_is_the_solved_regression_and_woodbury_the_one_with_more_rows():
    X, y = world()
    metric, _, statistics, geometry = learned("ridge", X, y, {"penalty": 0.2})
    new = np.stack([X[:3].mean(axis=0) + 2, X[50:53].mean(axis=0) - 2])
    fitted = metric.place(geometry, statistics.means, statistics.counts)
    both = metric.combine(geometry, fitted, metric.place_added(geometry, new, np.array([3, 3])))
    gram = 5 * statistics.within_covariance + statistics.means.T @ statistics.means
    penalty = 0.2 * np.trace(gram) / len(gram)
    all_means = np.concatenate([statistics.means, new])
    weights = np.linalg.solve(gram + new.T @ new + penalty * np.eye(len(gram)), all_means.T)
    assert np.allclose(np.hstack([metric.scores(geometry, part, X) for part in both]), X @ weights)


def test_the_projection_of_ranpac_comes_from_the_seed_and_keeps_what_is_positive():
    metric = metric_named("ranpac")
    X = world()[0]
    one, same, other = metric.frame(X, 0), metric.frame(X, 0), metric.frame(X, 1)
    assert np.array_equal(one["projection"], same["projection"])
    assert not np.array_equal(one["projection"], other["projection"])
    assert np.array_equal(metric.prepare(one, X), np.maximum(X @ one["projection"], 0))
    with pytest.raises(InputError, match="averages projected features"):
        metric.frame_of_statistics(ClassStatistics.from_features(*world()))


def test_the_offset_is_told_at_one_and_at_five_images_and_fades_beyond():
    offsets = added_offset(
        as_arrays({"offset_1": 4.0, "offset_5": 2.0}, "offset_1", "offset_5"), [0, 1, 2, 5, 10, 5000]
    )
    assert offsets.tolist() == pytest.approx([4, 4, 4 - 2 * np.log(2) / np.log(5), 2, 1, 0.002])


def test_a_metric_without_an_unknown_class_says_so():
    with pytest.raises(InputError, match="no likelihood of a class never seen"):
        metric_named("cosine").unknown({})
    with pytest.raises(InputError, match="'manhattan' is not known"):
        metric_named("manhattan")


@pytest.mark.parametrize("name", METRICS)
def test_what_classes_share_may_be_done_beforehand(name):
    metric = metric_named(name)
    X, y = world()
    frame = metric.frame(X, 0)
    prepared = metric.prepare(frame, X)
    statistics = ClassStatistics.from_features(prepared, y)
    learned = metric.learn(statistics, dict(metric.defaults))
    placed = metric.place(learned, statistics.means, statistics.counts)
    geometry, turned = metric.turn(learned, prepared)
    assert np.array_equal(metric.scores(geometry, placed, turned), metric.scores(learned, placed, prepared))
