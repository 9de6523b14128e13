from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import logistic

from ncapps.errors import InputError
from ncapps.ood import MDS, ETFDetector
from ncapps.ood.etf_terms import TERMS
from ncapps.ood.linear_head import LinearHead
from ncapps.simplex import SimplexETF
from ncapps.statistics import ClassStatistics


def collapsed(classes=5, width=8, each=30, spread=0.3, seed=0):
    random = np.random.default_rng(seed)
    simplex = SimplexETF.construct(classes, width, 0).vertices
    X = 7 * np.repeat(simplex, each, axis=0) + 2 + spread * random.standard_normal((classes * each, width))
    return X, np.repeat(np.arange(classes), each)


def head_of(X, y):
    head = LinearHead.from_means(ClassStatistics.from_features(X, y))
    return SimpleNamespace(weight=head.weight, bias=head.bias)


def unknown(n=200, width=8, seed=1):
    return 2 + 5 * np.random.default_rng(seed).standard_normal((n, width))


def test_the_terms_are_their_formulas_written_out():
    X, y = collapsed()
    head = head_of(X, y)
    detector = ETFDetector(vertices="means").fit(X, y, head)
    learned, Q = detector.learned_, unknown(20)
    A, B, center = learned["whitener"].T, learned["unit_whitener"].T, learned["center"]

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    means = learned["means"]
    basis = np.linalg.qr((means @ A).T)[0]
    for row, query in enumerate(Q):
        unit = query / np.linalg.norm(query)
        gaps = ((unit - learned["centres"].astype(float)) ** 2).sum(axis=1)
        expected = [
            logsumexp(head.weight @ query + head.bias),
            max(cosine((query - center) @ A, (mean - center) @ A) for mean in means),
            max(cosine(query @ B, mean @ B) for mean in means),
            np.linalg.norm(query @ A @ basis) / np.linalg.norm(query @ A),
            logsumexp(-30 * gaps),
        ]
        found = [detector.terms(Q)[name][row] for name in TERMS]
        assert np.allclose(found[:4], expected[:4], rtol=1e-9)
        assert found[4] == pytest.approx(expected[4], abs=1e-4)


def test_the_score_is_the_weighted_sum_of_logistic_log_p_values():
    X, y = collapsed()
    detector = ETFDetector().fit(X, y, head_of(X, y))
    learned, Q = detector.learned_, unknown(30)
    terms = np.stack([detector.terms(Q)[name] for name in TERMS], axis=1)
    scale = learned["spreads"] * np.sqrt(3) / np.pi
    expected = logistic.logcdf(terms, loc=learned["medians"], scale=scale) @ learned["weights"]
    assert np.allclose(detector.score_samples(Q), expected, rtol=1e-9)
    assert learned["weights"].sum() == pytest.approx(1)
    assert (detector.score_samples(Q) <= 0).all()


@pytest.mark.parametrize("with_head", [True, False])
def test_unknown_images_score_below_known_ones(with_head):
    X, y = collapsed()
    detector = ETFDetector().fit(X, y, head_of(X, y) if with_head else None)
    fresh = collapsed(seed=5)[0]
    assert np.quantile(detector.score_samples(fresh), 0.05) > np.quantile(detector.score_samples(unknown()), 0.95)


def test_the_laws_hold_for_new_images_of_known_classes():
    X, y = collapsed(each=400)
    detector = ETFDetector(subcentroids=0).fit(X, y, head_of(X, y))
    fresh = detector.terms(collapsed(each=400, seed=3)[0])
    learned = detector.learned_
    for position, name in enumerate(TERMS[:4]):
        below = np.mean(fresh[name] < learned["medians"][position])
        assert 0.4 < below < 0.6, name


def test_neighbours_count_as_far_as_collapse_is_not_reached():
    tight, loose = (collapsed(spread=spread) for spread in (0.01, 4.0))
    weights = [ETFDetector().fit(X, y).learned_["weights"][4] for X, y in (tight, loose)]
    assert weights[0] < 1e-4
    assert weights[1] > 0.2
    X, y = loose
    assert ETFDetector().fit_statistics(ClassStatistics.from_features(X, y)).learned_["weights"][4] == 0


def test_fit_without_subcentroids_is_the_fit_from_statistics():
    X, y = collapsed()
    statistics = ClassStatistics.from_features(X[::2], y[::2]) + ClassStatistics.from_features(X[1::2], y[1::2])
    merged = ETFDetector().fit_statistics(statistics, head_of(X, y)).score_samples(unknown())
    whole = ETFDetector(subcentroids=0).fit(X, y, head_of(X, y)).score_samples(unknown())
    assert np.allclose(merged, whole, rtol=1e-9)


@pytest.mark.parametrize("source", ["auto", "means", "head", "simplex"])
def test_on_a_perfect_simplex_all_sources_of_vertices_agree(source):
    X, y = collapsed(each=2000, spread=0.5)
    means = np.stack([X[y == c].mean(axis=0) for c in range(5)])
    vertices = ETFDetector(vertices=source, subcentroids=0).fit(X, y, head_of(X, y)).vertices_
    detector = ETFDetector(vertices="means", subcentroids=0).fit(X, y)
    assert np.einsum("ij,ij->i", vertices, detector.vertices_).min() > 0.995
    assert detector.nearest_class(means).tolist() == [0, 1, 2, 3, 4]


def test_auto_takes_the_source_best_aligned_with_the_images():
    X, y = collapsed()
    right, noise = head_of(X, y), np.random.default_rng(2).standard_normal((5, 8))
    wrong = SimpleNamespace(weight=right.weight + 0.4 * right.weight.std() * noise, bias=right.bias)
    automatic = ETFDetector(subcentroids=0).fit(X, y, wrong).vertices_
    head = ETFDetector(subcentroids=0, vertices="head").fit(X, y, wrong).vertices_
    assert not np.allclose(automatic, head)


def test_scale_changes_nothing_and_a_turn_only_the_images_drawn():
    X, y = collapsed()
    Q, plain = unknown(), ETFDetector(subcentroids=0).fit(X, y).score_samples(unknown())
    assert np.allclose(ETFDetector(subcentroids=0).fit(3 * X, y).score_samples(3 * Q), plain, rtol=1e-6)
    turn = np.linalg.qr(np.random.default_rng(6).standard_normal((8, 8)))[0]
    turned = ETFDetector(subcentroids=0).fit(X @ turn, y).score_samples(Q @ turn)
    assert np.allclose(turned, plain, rtol=0.1)
    assert np.corrcoef(turned, plain)[0, 1] > 0.999


def test_adding_and_removing_a_class_is_undone_exactly(tmp_path):
    X, y = collapsed()
    detector = ETFDetector().fit(X, y, head_of(X, y)).calibrate(collapsed(seed=2)[0])
    Q = unknown()
    before, offset = detector.score_samples(Q), detector.offset_
    kiwi = 2 + np.array([0, 0, 0, 0, 0, 7, 0, 0]) + 0.3 * np.random.default_rng(3).standard_normal((45, 8))
    assert np.mean(detector.predict(kiwi) == -1) > 0.9
    detector.add_class(9, kiwi[:5])
    assert np.mean(detector.predict(kiwi[5:]) == -1) < 0.2
    assert np.mean(detector.nearest_class(kiwi[5:]) == 9) > 0.9
    assert detector.offset_ == offset
    detector.save(tmp_path / "d")
    loaded = ETFDetector.load(tmp_path / "d")
    assert loaded.classes_ == (0, 1, 2, 3, 4, 9)
    assert np.array_equal(loaded.score_samples(Q), detector.score_samples(Q))
    detector.remove_class(9)
    assert np.array_equal(detector.score_samples(Q), before)


def test_the_order_in_which_classes_are_added_does_not_matter():
    X, y = collapsed()
    kiwi, fig = unknown(5, seed=3), unknown(5, seed=4)
    one = ETFDetector().fit(X, y).add_class(7, kiwi).add_class(8, fig)
    other = ETFDetector().fit(X, y).add_class(8, fig).add_class(7, kiwi)
    assert np.array_equal(one.score_samples(unknown()), other.score_samples(unknown()))


def test_an_added_class_shares_the_calibration_of_the_known_ones():
    X, y = collapsed(each=100, spread=0.8)
    held, refused = collapsed(each=100, spread=0.8, seed=8)[0], []
    for seed in range(12):
        detector = ETFDetector().fit(X, y, head_of(X, y)).calibrate(held, 0.1)
        random = np.random.default_rng(seed)
        new = 2 + 7 * np.eye(8)[6] + 0.8 * random.standard_normal((205, 8))
        detector.add_class(9, new[:5])
        refused.append(np.mean(detector.predict(new[5:]) == -1))
    # Five images leave the mean uncertain; without a shift about half are refused.
    assert 0.02 < np.mean(refused) < 0.3


def test_a_fitted_class_can_go_with_its_row_of_the_head():
    X, y = collapsed()
    detector = ETFDetector().fit(X, y, head_of(X, y)).calibrate(collapsed(seed=2)[0])
    detector.remove_class(3)
    assert detector.classes_ == (0, 1, 2, 4)
    assert detector.learned_["weight"].shape == (4, 8)
    assert np.mean(detector.predict(X[y == 3]) == -1) > 0.9
    assert np.mean(detector.predict(X[y == 1]) == -1) < 0.2


def test_a_head_of_other_classes_gives_evidence_but_no_vertices():
    X, y = collapsed()
    head = SimpleNamespace(weight=np.random.default_rng(0).standard_normal((20, 8)), bias=np.zeros(20))
    detector = ETFDetector().fit(X, y, head)
    assert detector.add_class(9, unknown(5)).learned_["weight"].shape == (20, 8)
    with pytest.raises(InputError, match="vertices='head' needs a head with one row a class"):
        ETFDetector(vertices="head").fit(X, y, head)


@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e-4])
def test_exact_collapse_still_tells_unknown_images(spread):
    X, y = collapsed(spread=spread)
    detector = ETFDetector().fit(X, y, head_of(X, y))
    known, strange = detector.score_samples(X), detector.score_samples(unknown())
    assert np.isfinite(known).all()
    assert known.min() > strange.max()


@pytest.mark.parametrize(
    "X",
    [np.ones((4, 3)), np.zeros((4, 3)), np.ones((1, 3)), np.random.default_rng(0).standard_normal((6, 40)) + 1],
    ids=["constant features", "zero vectors", "one image", "more columns than images"],
)
def test_one_class_has_a_defined_answer(X):
    detector = ETFDetector().fit(X)
    far = np.zeros((1, X.shape[1]))
    far[0, 0] = 50
    scores = detector.score_samples(np.concatenate([far, X[:1], np.zeros((1, X.shape[1]))]))
    assert np.isfinite(scores).all()
    assert scores[0] < scores[1]


def test_a_class_of_one_image_duplicate_means_and_more_classes_than_columns():
    random = np.random.default_rng(4)
    X, y = random.standard_normal((60, 3)), np.arange(60) // 10
    X[y == 1] = X[y == 0]
    y[59] = 77
    detector = ETFDetector().fit(X, y, SimpleNamespace(weight=np.ones((7, 3)), bias=None))
    assert np.isfinite(detector.score_samples(X)).all()
    with pytest.raises(InputError, match="vertices='simplex' needs 4 classes at most, but 7 classes came"):
        ETFDetector(vertices="simplex").fit(X, y)


def test_it_beats_the_distance_alone_where_the_length_of_features_varies():
    # Lengths that vary from image to image, as those of activations do, drown what a plain distance sees.
    random = np.random.default_rng(0)
    X, y = collapsed(each=200, spread=0.6)
    X *= random.lognormal(0, 0.3, (len(X), 1))
    strange = (2 + 3 * random.standard_normal((1000, 8))) * random.lognormal(0, 0.3, (1000, 1))
    fit, fresh = slice(0, None, 2), slice(1, None, 2)

    def auroc(detector):
        known, other = (detector.score_samples(rows) for rows in (X[fresh], strange))
        return (known[:, None] > other).mean()

    head = head_of(X[fit], y[fit])
    assert auroc(ETFDetector().fit(X[fit], y[fit], head)) > auroc(MDS().fit(X[fit], y[fit], head)) + 0.005


def test_errors_name_the_cause():
    X, y = collapsed()
    detector = ETFDetector().fit(X, y)
    with pytest.raises(InputError, match="vertices 'rows' is not known; choose one of auto, means, head, simplex"):
        ETFDetector(vertices="rows").fit(X, y)
    with pytest.raises(InputError, match="subcentroids must be a whole number in .*, but -1 came"):
        ETFDetector(subcentroids=-1).fit(X, y)
    with pytest.raises(InputError, match="class 3 is there already"):
        detector.add_class(3, X[:5])
    with pytest.raises(InputError, match="class 7 is not known"):
        detector.remove_class(7)
    with pytest.raises(InputError, match="is the last one"):
        ETFDetector().fit(X[:10]).remove_class(0)
    with pytest.raises(InputError, match="1 image\\(s\\) or more are needed, but 0 came"):
        detector.add_class(8, X[:0])


def test_a_head_in_another_order_is_put_in_that_of_the_classes():
    X, y = collapsed(spread=1.0)
    head, order = head_of(X, y), [1, 2, 3, 4, 0]
    turned = SimpleNamespace(weight=head.weight[order], bias=head.bias[order])
    one, other = ETFDetector().fit(X, y, head), ETFDetector().fit(X, y, turned)
    assert np.array_equal(one.score_samples(unknown()), other.score_samples(unknown()))
    assert np.array_equal(one.remove_class(3).score_samples(X), other.remove_class(3).score_samples(X))


def test_images_that_are_no_class_let_few_unknown_ones_pass():
    X, y = collapsed()
    detector = ETFDetector().fit(X, y).calibrate(collapsed(seed=9)[0])
    strange = unknown(400)
    detector.add_class(9, strange[:5])
    assert np.mean(detector.predict(strange[5:]) == 1) < 0.02


def test_what_can_not_be_added_leaves_everything_as_it_was():
    X, y = collapsed()
    detector = ETFDetector().fit(X, y)
    before = detector.score_samples(X)
    with (
        pytest.raises(InputError, match="the class can't be added: its features are too large"),
        np.errstate(all="ignore"),
    ):
        detector.add_class(9, X[:5] * 1e200)
    assert detector.classes_ == (0, 1, 2, 3, 4)
    assert np.array_equal(detector.score_samples(X), before)
    for name in range(4):
        detector.add_class(9, X[:5] + 1).remove_class(name).remove_class(9)
    with pytest.raises(InputError, match="class 4 is the last one that was fitted"):
        detector.add_class(9, X[:5] + 1).remove_class(4)


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_features_of_one_column(classes):
    random = np.random.default_rng(1)
    X = 5 * random.standard_normal(classes).repeat(20)[:, None] + 0.3 * random.standard_normal((20 * classes, 1))
    assert np.isfinite(ETFDetector().fit(X, np.arange(classes).repeat(20)).score_samples(X)).all()
