"""The figures of an OOD benchmark, against scikit-learn, against OpenOOD's way, and on sums done by hand."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from ncapps.benchmarks.ood_metrics import aupr, fpr_at_tpr, needed, rank_auroc
from ncapps.errors import InputError

SCORES = st.lists(st.integers(-4, 4), min_size=1, max_size=30).map(lambda values: np.asarray(values, dtype=float))


def openood(known, unknown):
    """OpenOOD v1.5's `auc_and_fpr_recall`, with its roc_curve: (FPR95, AUROC, AUPR_IN, AUPR_OUT)."""
    is_ood = np.repeat([0, 1], [len(known), len(unknown)])
    conf = np.concatenate([known, unknown])
    fpr, tpr, _ = sk.roc_curve(is_ood, -conf)
    precision_in, recall_in, _ = sk.precision_recall_curve(1 - is_ood, conf)
    precision_out, recall_out, _ = sk.precision_recall_curve(is_ood, -conf)
    at95 = fpr[np.argmax(tpr >= 0.95)]
    return at95, sk.auc(fpr, tpr), sk.auc(recall_in, precision_in), sk.auc(recall_out, precision_out)


def brute_fpr(known, unknown, positive, tpr=0.95):
    """Try every score as the threshold; the first that finds enough of the positive ones decides."""
    if positive == "ood":
        cuts = np.sort(np.concatenate([known, unknown]))
        return next(np.mean(known <= cut) for cut in cuts if np.mean(unknown <= cut) >= tpr)
    cuts = np.sort(np.concatenate([known, unknown]))[::-1]
    return next(np.mean(unknown >= cut) for cut in cuts if np.mean(known >= cut) >= tpr)


@given(SCORES, SCORES)
def test_auroc_is_scikit_learns_ties_included(known, unknown):
    truth = np.repeat([1, 0], [len(known), len(unknown)])
    assert rank_auroc(known, unknown) == pytest.approx(sk.roc_auc_score(truth, np.concatenate([known, unknown])))


@given(SCORES, SCORES, st.sampled_from(["ood", "id"]), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_fpr_is_that_of_the_best_threshold(known, unknown, positive, tpr):
    assert fpr_at_tpr(known, unknown, positive, tpr) == pytest.approx(brute_fpr(known, unknown, positive, tpr))


@given(SCORES, SCORES)
def test_fpr_is_at_most_openoods_which_drops_thresholds(known, unknown):
    assert fpr_at_tpr(known, unknown, "ood") <= openood(known, unknown)[0] + 1e-12


@given(SCORES, SCORES)
def test_turning_the_scores_round_swaps_the_orientations(known, unknown):
    assert fpr_at_tpr(known, unknown, "ood") == fpr_at_tpr(-unknown, -known, "id")
    assert aupr(known, unknown, "ood") == pytest.approx(aupr(-unknown, -known, "id"))
    assert rank_auroc(known, unknown) == pytest.approx(1 - rank_auroc(unknown, known))


@given(SCORES, SCORES, st.randoms(use_true_random=False))
def test_order_and_scale_of_scores_do_not_matter(known, unknown, random):
    shuffled = np.asarray(random.sample(known.tolist(), len(known)))
    for figure in (rank_auroc, lambda k, u: fpr_at_tpr(k, u, "ood"), lambda k, u: aupr(k, u, "id")):
        assert figure(known, unknown) == pytest.approx(figure(np.exp(shuffled), np.exp(unknown)))


@pytest.mark.parametrize(("shift", "spread"), [(0.5, 1.0), (2.0, 0.3), (-1.0, 3.0)])
def test_all_figures_match_openood(shift, spread):
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(shift, spread, 3000).round(2), rng.normal(0, 1, 2000).round(2)
    fpr95, auroc, aupr_in, aupr_out = openood(known, unknown)
    assert rank_auroc(known, unknown) == pytest.approx(auroc, abs=1e-10)
    assert aupr(known, unknown, "id") == pytest.approx(aupr_in, abs=1e-10)
    assert aupr(known, unknown, "ood") == pytest.approx(aupr_out, abs=1e-10)
    exact = sk.roc_curve(np.repeat([0, 1], [3000, 2000]), -np.concatenate([known, unknown]), drop_intermediate=False)
    assert fpr_at_tpr(known, unknown, "ood") == exact[0][np.argmax(exact[1] >= 0.95)]
    assert fpr_at_tpr(known, unknown, "ood") == pytest.approx(fpr95, abs=2e-3)


def test_the_orientation_decides_how_good_the_same_scores_look():
    """Most unknown images lie far off, but some among the known ones: one orientation sees the rest, one the some."""
    rng = np.random.default_rng(1)
    known = rng.normal(0, 1, 20_000)
    unknown = np.concatenate([rng.normal(-6, 1, 11_200), rng.normal(0, 1.2, 8_800)])
    assert fpr_at_tpr(known, unknown, "ood") > 0.9
    assert fpr_at_tpr(known, unknown, "id") < 0.45


def test_by_hand():
    known, unknown = np.array([4.0, 3.0, 1.0]), np.array([2.0, 0.0])
    assert rank_auroc(known, unknown) == pytest.approx(5 / 6)
    assert fpr_at_tpr(known, unknown, "ood") == pytest.approx(1 / 3)
    assert fpr_at_tpr(known, unknown, "id") == pytest.approx(1 / 2)
    # Points (1/3, 1), (2/3, 1), (2/3, 2/3), (1, 3/4), (1, 3/5) after the start (0, 1).
    assert aupr(known, unknown, "id") == pytest.approx(2 / 3 + (2 / 3 + 3 / 4) / 2 / 3)


def test_infinite_scores_are_ranked_and_nan_is_refused():
    assert rank_auroc(np.array([np.inf, 1.0]), np.array([-np.inf])) == 1.0
    for figure in (rank_auroc, lambda k, u: fpr_at_tpr(k, u, "ood"), lambda k, u: aupr(k, u, "ood")):
        with pytest.raises(InputError, match="1 of 2 unknown scores are NaN"):
            figure(np.ones(2), np.array([0.0, np.nan]))
        with pytest.raises(InputError, match="known and unknown images are needed, but 0 and 1 came"):
            figure(np.zeros(0), np.ones(1))


def test_other_words_and_rates_are_refused():
    with pytest.raises(InputError, match="positive must be 'ood' or 'id', but 'unknown' came"):
        fpr_at_tpr(np.ones(2), np.ones(2), "unknown")
    with pytest.raises(InputError, match="positive must be"):
        aupr(np.ones(2), np.ones(2), "in")
    with pytest.raises(InputError, match="tpr is a share above 0 and up to 1, but 95 came"):
        fpr_at_tpr(np.ones(2), np.ones(2), "ood", tpr=95)


def test_needed_is_the_first_rank_that_reaches_the_rate():
    for images in (1, 19, 20, 21, 100, 9000):
        shares = np.arange(1, images + 1) / images
        assert needed(images, 0.95) == np.argmax(shares >= 0.95) + 1


def test_no_warning_on_constant_scores():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rank_auroc(np.ones(3), np.ones(4)) == 0.5
        assert fpr_at_tpr(np.ones(3), np.ones(4), "ood") == 1.0
        assert aupr(np.ones(3), np.ones(4), "id") == pytest.approx((1 + 3 / 7) / 2)
