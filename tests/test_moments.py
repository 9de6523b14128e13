"""The accumulator behind the statistics: batches, chunks and blocks leave no trace; merging follows Chan's update."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController

from ncapps import moments
from ncapps.errors import InputError
from ncapps.moments import MomentAccumulator, compress_factor, merge_means, merge_scatter


def accumulate(features, labels, sizes):
    accumulator = MomentAccumulator(features.shape[1])
    for rows in np.split(np.arange(len(labels)), np.cumsum(sizes)):
        accumulator.update(features[rows], labels[rows])
    return accumulator.result()


def draw(rows=700, seed=0, dtype=np.float64):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 9, rows)
    return (random.standard_normal((rows, 5)) + 10 * labels[:, None]).astype(dtype), labels


def two_passes(features, labels):
    names = np.unique(labels)
    means = np.array([features[labels == name].mean(axis=0, dtype=np.float64) for name in names])
    centered = features.astype(np.float64) - means[np.searchsorted(names, labels)]
    squares = np.array([(centered[labels == name] ** 2).sum() for name in names])
    return tuple(names.tolist()), np.unique(labels, return_counts=True)[1], means, squares, centered.T @ centered


def assert_equal_moments(got, expected, rel=1e-11):
    assert got[0] == expected[0]
    assert got[1].tolist() == expected[1].tolist()
    for left, right in zip(got[2:], expected[2:], strict=True):
        np.testing.assert_allclose(left, right, rtol=0, atol=rel * np.abs(right).max())


@given(sizes=st.lists(st.integers(0, 200), max_size=8))
def test_batches_of_any_size_are_one_pass(sizes):
    features, labels = draw()
    assert_equal_moments(accumulate(features, labels, sizes), two_passes(features, labels))


@pytest.mark.parametrize(("product", "step", "block"), [(1, 1, 1), (7, 3, 20), (64, 64, 64), (2048, 256, 65536)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sizes_of_chunks_leave_no_trace(monkeypatch, product, step, block, dtype):
    for name, value in (("_PRODUCT", product), ("_STEP", step), ("_BLOCK", block)):
        monkeypatch.setattr(moments, name, value)
    features, labels = draw(dtype=dtype)
    assert_equal_moments(accumulate(features, labels, [300, 1]), two_passes(features, labels))


def test_pivots_are_renewed_after_each_block(monkeypatch):
    monkeypatch.setattr(moments, "_BLOCK", 50)
    features, labels = draw(120)
    accumulator = MomentAccumulator(5)
    accumulator.update(features, labels)
    # What is still uncorrected is never more than a block: so much at most can cancel.
    assert accumulator._fresh_rows == accumulator._fresh_counts.sum() == 20
    assert accumulator._counts.sum() == 100


def test_many_blocks_of_many_classes():
    random = np.random.default_rng(1)
    labels = random.integers(0, 300, 150_000)
    features = (random.standard_normal((150_000, 6)) * 1e-3 + labels[:, None]).astype(np.float32)
    assert_equal_moments(accumulate(features, labels, [100_001]), two_passes(features, labels), rel=1e-10)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_leave_no_trace(monkeypatch, threads):
    monkeypatch.setattr(moments, "_PRODUCT", 64)
    features, labels = draw(2000)
    blas = ThreadpoolController().select(user_api="blas")
    with blas.limit(limits=threads):
        before = [library["num_threads"] for library in blas.info()]
        got = accumulate(features, labels, [700])
        assert [library["num_threads"] for library in blas.info()] == before
    assert_equal_moments(got, two_passes(features, labels))
    np.testing.assert_array_equal(got[-1], accumulate(features, labels, [700])[-1])


def test_a_bad_row_met_by_a_thread_is_told_and_the_thread_limit_lifted(monkeypatch):
    monkeypatch.setattr(moments, "_PRODUCT", 64)
    features, labels = draw(2000)
    features[1234, 3] = np.nan
    blas = ThreadpoolController().select(user_api="blas")
    with blas.limit(limits=2):
        with pytest.raises(InputError, match="in 1 of 2000 rows, the first is row 1234"):
            accumulate(features, labels, [])
        assert {library["num_threads"] for library in blas.info()} == {2}


def test_passes_in_several_threads_leave_the_thread_limit_as_it_was(monkeypatch):
    monkeypatch.setattr(moments, "_PRODUCT", 64)
    features, labels = draw(2000)
    blas = ThreadpoolController().select(user_api="blas")
    with blas.limit(limits=2):
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: accumulate(features, labels, []), range(12)))
        assert {library["num_threads"] for library in blas.info()} == {2}
    for result in results:
        assert_equal_moments(result, two_passes(features, labels))


def test_sorted_and_shuffled_rows_agree():
    features, labels = draw(5000)
    order = np.argsort(labels, kind="stable")
    assert_equal_moments(accumulate(features[order], labels[order], []), two_passes(features, labels))


def test_scatter_is_symmetric_to_the_bit_and_squares_are_its_trace():
    features, labels = draw()
    *_, squares, scatter = accumulate(features, labels, [200])
    np.testing.assert_array_equal(scatter, scatter.T)
    assert squares.sum() == pytest.approx(np.trace(scatter), rel=1e-12)
    assert np.linalg.eigvalsh(scatter)[0] > 0


def test_a_class_of_one_image_has_exactly_no_scatter():
    features = np.random.default_rng(0).standard_normal((4, 3)) * 1e5 + 0.1
    _, counts, means, squares, scatter = accumulate(features, np.arange(4), [2])
    assert (counts.tolist(), squares.tolist(), np.abs(scatter).max()) == ([1] * 4, [0.0] * 4, 0.0)
    np.testing.assert_array_equal(means, features)


def test_the_result_can_be_read_between_batches():
    features, labels = draw()
    accumulator = MomentAccumulator(5)
    accumulator.update(features[:400], labels[:400])
    assert_equal_moments(accumulator.result(), two_passes(features[:400], labels[:400]))
    accumulator.update(features[400:], labels[400:])
    for _ in range(2):
        assert_equal_moments(accumulator.result(), two_passes(features, labels))


def test_the_input_is_left_alone():
    features, labels = draw()
    before = features.copy(), labels.copy()
    accumulate(features, labels, [9])
    np.testing.assert_array_equal(features, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_batches_that_disagree_are_refused():
    accumulator = MomentAccumulator(2)
    accumulator.update(np.eye(2), ["a", "b"])
    with pytest.raises(InputError, match=r"mixed type \(int and str\); name all classes by one of them"):
        accumulator.update(np.eye(2), [1, 2])
    with pytest.raises(
        InputError, match=r"shape \(3, 3\) came where \(images, 2\) was expected; were the batches extracted"
    ):
        accumulator.update(np.eye(3), ["a", "b", "c"])


@given(counts=st.tuples(st.integers(0, 40), st.integers(0, 40)), seed=st.integers(0, 10**6))
def test_merging_means_is_the_mean_of_all(counts, seed):
    random = np.random.default_rng(seed)
    sides = [random.standard_normal((count, 3)) + 5 for count in counts]
    means = np.array([[side.mean(axis=0) if len(side) else np.zeros(3)] for side in sides])
    mean, shift = merge_means(np.array(counts, float)[:, None], means)
    everything = np.concatenate(sides)
    if len(everything):
        np.testing.assert_allclose(mean[0], everything.mean(axis=0), rtol=1e-13)
        centered = everything - everything.mean(axis=0)
        parts = [side - side.mean(axis=0) for side in sides if len(side)]
        gained = centered.T @ centered - sum(part.T @ part for part in parts)
        np.testing.assert_allclose(np.outer(shift[0], shift[0]), gained, atol=1e-10)
    for side, other in ((0, 1), (1, 0)):
        if counts[other] == 0:
            np.testing.assert_array_equal(mean[0], means[side, 0])
            assert not shift.any()


def test_scatter_stays_apart_only_where_both_sides_hold_it_apart():
    random = np.random.default_rng(0)
    left, right, shift = random.standard_normal((4, 3)), random.standard_normal((2, 3)), random.standard_normal(3)
    zeros = np.zeros((3, 3))
    pooled, apart = merge_scatter((zeros, zeros), ({"a": left}, {"a": right}), {"a": shift})
    total = left.T @ left + right.T @ right + np.outer(shift, shift)
    assert not pooled.any()
    np.testing.assert_allclose(apart["a"].T @ apart["a"], total)
    pooled, apart = merge_scatter((zeros, right.T @ right), ({"a": left}, {}), {"a": shift})
    assert apart == {}
    np.testing.assert_allclose(pooled, total)
    pooled, apart = merge_scatter((zeros, zeros), ({"a": left}, {"b": right}), {})
    assert apart["a"] is left
    assert apart["b"] is right


def test_a_long_factor_is_shortened_and_a_short_one_kept():
    random = np.random.default_rng(0)
    long, short = random.standard_normal((50, 4)), random.standard_normal((8, 4))
    assert compress_factor(short) is short
    assert compress_factor(long).shape == (4, 4)
    np.testing.assert_allclose(compress_factor(long).T @ compress_factor(long), long.T @ long)
