"""The bootstrap, against resampled images written out, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncapps.benchmarks.bootstrap import PairedBootstrap, interval
from ncapps.benchmarks.ood_metrics import fpr_at_tpr, rank_auroc
from ncapps.errors import InputError


def drawn(images, place, resamples, seed):
    """How often each image is drawn, as the bootstrap's documentation says: by seed and place of the set."""
    rng = np.random.default_rng([seed, place])
    return [np.bincount(rng.integers(0, images, images), minlength=images) for _ in range(resamples)]


@pytest.mark.parametrize("levels", [6, 10**6], ids=["many ties", "no ties"])
def test_each_replicate_is_the_figure_of_the_resampled_images(levels):
    rng = np.random.default_rng(0)
    known, far, near = (rng.integers(0, levels, n).astype(float) + b for n, b in ((60, 2), (41, 0), (17, 1)))
    found = PairedBootstrap(60, {"far": 41, "near": 17}, resamples=150, seed=3).replicates(
        known, {"far": far, "near": near}
    )
    known_counts = drawn(60, 0, 150, 3)
    for place, (name, unknown) in enumerate({"far": far, "near": near}.items(), 1):
        counts = drawn(len(unknown), place, 150, 3)
        sets = [(np.repeat(known, k), np.repeat(unknown, u)) for k, u in zip(known_counts, counts, strict=True)]
        assert found[name].auroc == pytest.approx([rank_auroc(*pair) for pair in sets], abs=1e-6)
        assert found[name].fpr_ood == pytest.approx([fpr_at_tpr(*pair, "ood") for pair in sets], abs=1e-12)
        assert found[name].fpr_id == pytest.approx([fpr_at_tpr(*pair, "id") for pair in sets], abs=1e-12)


def test_detectors_see_the_same_images():
    """A detector that orders the images alike has the same figures, replicate by replicate."""
    rng = np.random.default_rng(1)
    known, unknown = rng.normal(1, 1, 500), rng.normal(0, 1, 400)
    bootstrap = PairedBootstrap(500, {"far": 400}, resamples=64)
    first = bootstrap.replicates(known, {"far": unknown})["far"]
    second = bootstrap.replicates(np.exp(known), {"far": np.exp(unknown)})["far"]
    assert np.array_equal(first.auroc, second.auroc)
    assert np.array_equal(first.fpr_id, second.fpr_id)
    other = bootstrap.replicates(known + rng.normal(0, 0.05, 500), {"far": unknown})["far"]
    paired, apart = np.std(first.auroc - other.auroc), np.hypot(np.std(first.auroc), np.std(other.auroc))
    assert 0 < paired < 0.3 * apart


def test_the_interval_has_the_width_that_theory_tells():
    """Hanley and McNeil's standard error of AUROC, for many images within a tenth."""
    rng = np.random.default_rng(2)
    known, unknown = rng.normal(1, 1, 1500), rng.normal(0, 1, 1500)
    replicates = PairedBootstrap(1500, {"far": 1500}, resamples=1000).replicates(known, {"far": unknown})["far"].auroc
    area = rank_auroc(known, unknown)
    below = np.searchsorted(np.sort(unknown), known) / 1500
    above = 1 - np.searchsorted(np.sort(known), unknown) / 1500
    error = np.sqrt(below.var() / 1500 + above.var() / 1500)
    assert replicates.std() == pytest.approx(error, rel=0.1)
    low, high = interval(replicates)
    assert low < area < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_a_large_set_loses_no_digits():
    known, unknown = np.arange(30_000.0) + 9_000, np.arange(30_000.0)
    bootstrap = PairedBootstrap(30_000, {"far": 30_000}, resamples=2)
    found = bootstrap.replicates(known, {"far": unknown})["far"].auroc
    pairs = zip(drawn(30_000, 0, 2, 0), drawn(30_000, 1, 2, 0), strict=True)
    assert found == pytest.approx([rank_auroc(np.repeat(known, k), np.repeat(unknown, u)) for k, u in pairs], abs=1e-6)


@given(st.integers(0, 5), st.integers(1, 12))
def test_seeds_and_sets_decide_the_draws(seed, resamples):
    known, unknown = np.arange(9.0), np.arange(7.0) - 2
    one = PairedBootstrap(9, {"a": 7}, resamples=resamples, seed=seed).replicates(known, {"a": unknown})["a"]
    two = PairedBootstrap(9, {"a": 7, "b": 3}, resamples=resamples, seed=seed).replicates(
        known, {"a": unknown, "b": unknown[:3]}
    )["a"]
    assert np.array_equal(one.auroc, two.auroc)
    assert len(one.auroc) == resamples


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="set 'far' holds no images"):
        PairedBootstrap(3, {"far": 0})
    with pytest.raises(InputError, match="1 resample or more, but 0 came"):
        PairedBootstrap(3, {"far": 2}, resamples=0)
    bootstrap = PairedBootstrap(3, {"far": 2}, resamples=5)
    with pytest.raises(InputError, match="drawn for 3 known images and {'far': 2}"):
        bootstrap.replicates(np.ones(3), {"far": np.ones(3)})
    with pytest.raises(InputError, match="1 of 2 far are NaN"):
        bootstrap.replicates(np.ones(3), {"far": np.array([np.nan, 0.0])})
