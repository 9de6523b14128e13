"""Laws of `ClassStatistics`: a commutative monoid in which any cut of the images gives the answer of one pass."""

import functools
import operator

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic import make_collapsed

from ncapps import persist
from ncapps.errors import InputError
from ncapps.statistics import ClassStatistics


def assert_same(got, expected, rel=1e-10):
    """Compare to `rel` of each array's own largest entry; the means to that of the class scale."""
    assert got.classes == expected.classes
    assert got.counts.tolist() == expected.counts.tolist()
    assert got.counts.dtype == np.int64
    scale = np.abs(expected.means).max()
    np.testing.assert_allclose(got.means, expected.means, rtol=0, atol=rel * scale)
    for name in ("squares", "within"):
        left, right = getattr(got, name), getattr(expected, name)
        np.testing.assert_allclose(left, right, rtol=0, atol=rel * np.abs(right).max())
    np.testing.assert_array_equal(got.within, got.within.T)


def from_two_passes(features, labels):
    names, counts, means, scatters, squares = reference.two_pass(features, labels)
    return ClassStatistics(
        classes=tuple(getattr(name, "item", lambda name=name: name)() for name in names),
        counts=counts,
        means=means.astype(float),
        squares=squares.astype(float),
        pooled=scatters.sum(axis=0).astype(float),
    )


def cut(data, count, seed):
    random = np.random.default_rng(seed)
    owner = random.integers(0, count, len(data.labels))
    return [
        ClassStatistics.from_features(data.features[owner == part], data.labels[owner == part])
        for part in random.permutation(count)
    ]


@pytest.mark.parametrize("names", ["int", "str"])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_one_pass_is_the_two_pass_reference(names, offset):
    data = make_collapsed(offset=offset, names=names)
    got = ClassStatistics.from_features(data.features, data.labels)
    assert_same(got, from_two_passes(data.features, data.labels), rel=1e-10)


@given(seed=st.integers(0, 10**6), count=st.integers(1, 150))
def test_any_cut_in_any_order_is_one_pass(seed, count):
    data = make_collapsed(seed=seed % 7)
    whole = ClassStatistics.from_features(data.features, data.labels)
    assert_same(sum(cut(data, count, seed)), whole)


def test_one_image_at_a_time_is_one_pass():
    data = make_collapsed()
    singles = [
        ClassStatistics.from_features(row[None], [label]) for row, label in zip(data.features, data.labels, strict=True)
    ]
    assert all(single.squares.item() == 0 and not single.within.any() for single in singles)
    assert_same(functools.reduce(operator.add, singles), ClassStatistics.from_features(data.features, data.labels))


def test_the_empty_one_is_neutral_bit_for_bit(collapsed):
    stats = ClassStatistics.from_features(collapsed.features, collapsed.labels)
    nothing = ClassStatistics.from_features(np.zeros((0, 12)), [])
    for empty in (ClassStatistics.empty(), ClassStatistics.empty(12), nothing, ClassStatistics.from_batches([])):
        assert (stats + empty).digest() == stats.digest() == (empty + stats).digest()
        assert (empty + empty).total == 0
    assert (0 + stats).digest() == stats.digest()


@given(seed=st.integers(0, 10**6))
def test_addition_commutes_and_associates(seed):
    a, b, c = cut(make_collapsed(seed=seed % 5), 3, seed)
    assert_same(a + b, b + a)
    assert_same((a + b) + c, a + (b + c))


@given(seed=st.integers(0, 10**6))
def test_parts_may_have_seen_different_classes(seed):
    data = make_collapsed(names="str")
    known = data.labels < "class 03"
    parts = [ClassStatistics.from_features(data.features[rows], data.labels[rows]) for rows in (known, ~known)]
    order = np.random.default_rng(seed).permutation(2)
    merged = parts[order[0]] + parts[order[1]]
    assert_same(merged, ClassStatistics.from_features(data.features, data.labels))
    # No class is on both sides: nothing is to be rounded.
    np.testing.assert_array_equal(merged.means[:3], parts[0].means)
    np.testing.assert_array_equal(merged.means[3:], parts[1].means)


def test_collapse_to_the_last_bits_keeps_its_variance():
    data = make_collapsed(within=1e-8, offset=10.0)
    stats = sum(cut(data, 100, 0))
    expected = from_two_passes(data.features, data.labels)
    assert np.linalg.eigvalsh(stats.within)[0] > 0
    np.testing.assert_allclose(stats.squares, expected.squares, rtol=1e-6)


def test_an_outlier_as_the_first_image_does_no_harm():
    random = np.random.default_rng(0)
    features = random.standard_normal((5000, 6)) * 1e-4 + 1.0
    features[0] += 1e3
    labels = np.zeros(5000, int)
    assert_same(ClassStatistics.from_features(features, labels), from_two_passes(features, labels))


def test_classes_that_drift_over_a_long_stream_keep_their_scatter():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200_000)
    features = (random.standard_normal((200_000, 4)) * 1e-3 + np.linspace(0, 5, 200_000)[:, None]).astype(np.float32)
    stats = ClassStatistics.from_features(features, labels)
    for position in range(3):
        rows = features[labels == position].astype(np.float64)
        centered = rows - rows.mean(axis=0)
        assert stats.squares[position] == pytest.approx((centered**2).sum(), rel=1e-10)
        np.testing.assert_allclose(stats.means[position], rows.mean(axis=0), rtol=1e-12)


def test_held_apart_classes_have_the_same_statistics(collapsed):
    pooled = ClassStatistics.from_features(collapsed.features, collapsed.labels)
    for apart in ("all", [0, 5]):
        assert_same(ClassStatistics.from_features(collapsed.features, collapsed.labels, apart=apart), pooled)


def test_the_factor_of_a_class_held_apart_stays_small():
    random = np.random.default_rng(0)
    features = random.standard_normal((500, 6))
    stats = ClassStatistics.from_features(features, np.zeros(500, int), apart="all")
    assert len(stats.apart[0]) <= 12
    for _ in range(20):
        more = random.standard_normal((9, 6))
        features = np.concatenate([features, more])
        stats = stats + ClassStatistics.from_features(more, np.zeros(9, int), apart="all")
        assert len(stats.apart[0]) <= 12
    assert_same(stats, from_two_passes(features, [0] * len(features)))


@given(seed=st.integers(0, 10**6))
def test_removal_undoes_addition_bit_for_bit(seed):
    data = make_collapsed(seed=seed % 5)
    new = data.labels == seed % 8
    rest = ClassStatistics.from_features(data.features[~new], data.labels[~new])
    added = ClassStatistics.from_features(data.features[new], data.labels[new], apart="all")
    for merged in (rest + added, added + rest):
        assert merged.digest() != rest.digest()
        assert merged.remove(seed % 8).digest() == rest.digest()


def test_removal_is_as_if_the_class_had_never_been_there(collapsed):
    labels = np.array(["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen"])[collapsed.labels]
    whole = ClassStatistics.from_features(collapsed.features, labels, apart=["cat", "gnu"])
    without = labels != "cat"
    never = ClassStatistics.from_features(collapsed.features[without], labels[without], apart=["gnu"])
    assert whole.remove("cat").digest() == never.digest()
    emptied = ClassStatistics.from_features(collapsed.features, labels, apart="all")
    for name in labels[np.sort(np.unique(labels, return_index=True)[1])]:
        emptied = emptied.remove(str(name))
    assert emptied.classes == ()
    assert (emptied + whole).digest() == whole.digest()


def test_removal_between_shards_is_exact():
    data = make_collapsed()
    new = data.labels == 2
    first, second = cut(type(data)(features=data.features[~new], labels=data.labels[~new], head=data.head), 2, 0)
    shards = [
        ClassStatistics.from_features(data.features[new][rows], data.labels[new][rows], apart="all")
        for rows in (slice(0, 1), slice(1, None))
    ]
    assert ((first + shards[0]) + (second + shards[1])).remove(2).digest() == (first + second).digest()


def test_a_class_pooled_on_one_side_is_pooled_in_the_sum(collapsed):
    apart = ClassStatistics.from_features(collapsed.features[::2], collapsed.labels[::2], apart=[1])
    pooled = ClassStatistics.from_features(collapsed.features[1::2], collapsed.labels[1::2])
    for merged in (apart + pooled, pooled + apart):
        assert_same(merged, ClassStatistics.from_features(collapsed.features, collapsed.labels))
        with pytest.raises(
            InputError, match=r"class 1 can't be removed exactly.*from_features\(\.\.\., apart=\[names\]"
        ):
            merged.remove(1)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", "b", "c"], ("a", "b", "c")),
        ([7, 3, 7, -2], (-2, 3, 7)),
        ([900, 5, 900, 6], (5, 6, 900)),
        (torch.tensor([2, 0, 2, 1]), (0, 1, 2)),
        ([2.0, 0.0, 2.0, 1.0], (0, 1, 2)),
        (np.array(["ü", "a", "ü", "z"], dtype=object), ("a", "z", "ü")),
    ],
)
def test_names_come_out_sorted_in_their_own_type(labels, classes):
    stats = ClassStatistics.from_features(np.arange(8.0).reshape(4, 2), labels)
    assert stats.classes == classes
    assert [type(name) for name in stats.classes] == [type(name) for name in classes]
    assert stats.counts.sum() == 4
    assert stats.counts[stats.position(classes[-1])] == (2 if classes[-1] in (7, 900, 2, "ü") else 1)


@pytest.mark.parametrize(
    "kind", [np.float16, np.float32, np.float64, np.int64, np.uint8, torch.float32, torch.bfloat16]
)
def test_any_kind_of_numbers_is_read(kind):
    whole = np.random.default_rng(0).integers(0, 50, (20, 3))
    features = torch.tensor(whole).to(kind) if isinstance(kind, torch.dtype) else whole.astype(kind)
    labels = [0, 1] * 10
    assert_same(ClassStatistics.from_features(features, labels), from_two_passes(whole, labels))


def test_derived_quantities(collapsed):
    stats = ClassStatistics.from_features(collapsed.features, collapsed.labels)
    centered = collapsed.features - stats.means[collapsed.labels]
    np.testing.assert_allclose(stats.within_covariance, centered.T @ centered / len(centered), atol=1e-20)
    np.testing.assert_allclose(stats.sample_mean, collapsed.features.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(stats.center, stats.means.mean(axis=0))
    assert not np.allclose(stats.center, stats.sample_mean)
    assert np.trace(stats.within) == pytest.approx(stats.squares.sum())
    assert (stats.width, stats.total) == (12, len(collapsed.features))


def test_a_saved_one_is_the_same_bit_for_bit(tmp_path, collapsed):
    for name, apart in (("a", "all"), ("b", ()), ("c", [4])):
        stats = ClassStatistics.from_features(collapsed.features, collapsed.labels, apart=apart)
        stats.save(tmp_path / name)
        assert ClassStatistics.load(tmp_path / name).digest() == stats.digest()
    words = ClassStatistics.from_features(np.eye(2), ["naïve", "日本"], apart="all")
    words.save(tmp_path / "words")
    assert ClassStatistics.load(tmp_path / "words").remove("日本").classes == ("naïve",)


def test_a_file_that_lacks_an_array_is_damaged(tmp_path, collapsed):
    stats = ClassStatistics.from_features(collapsed.features, collapsed.labels)
    arrays = stats.arrays()
    del arrays["squares"]
    persist.save(tmp_path / "s", "class-statistics", 1, arrays, stats.header())
    with pytest.raises(InputError, match="statistics lack 'squares'; is the file damaged"):
        ClassStatistics.load(tmp_path / "s")


def test_digest_tells_every_bit():
    stats = ClassStatistics.from_features(np.arange(6.0).reshape(3, 2), [0, 0, 1])
    moved = ClassStatistics.from_features(np.arange(6.0).reshape(3, 2) + 1e-15, [0, 0, 1])
    renamed = ClassStatistics.from_features(np.arange(6.0).reshape(3, 2), [0, 0, 2])
    assert len({stats.digest(), moved.digest(), renamed.digest()}) == 3


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (np.eye(2), ["a"], "2 images came with 1 labels"),
        (np.eye(2), ["a", 1], r"mixed type \(int and str\)"),
        (np.zeros(3), [1, 2, 3], r"must be a matrix \(images, feature width\), but have"),
        (np.zeros((2, 3, 4)), [1, 2], r"must be a matrix \(images, feature width\), but have"),
        (np.float64(3), [1], r"must be a matrix \(images, feature width\), but have"),
        (np.zeros((2, 0)), [1, 2], "features have no columns"),
        (np.array([[1.0, 2.0], [np.nan, 0.0]]), [0, 1], "NaN or infinity in 1 of 2 rows, the first is row 1"),
        (np.array([[1.0, 2.0], [np.inf, 0.0]]), [0, 0], "NaN or infinity in 1 of 2 rows, the first is row 1"),
        (np.array([[np.inf, -np.inf]]), [0], "NaN or infinity in 1 of 1 rows"),
        (np.array([[0.0], [1e200]]), [0, 0], "too large to be squared in float64; scale them down"),
        (np.array([["x", "y"]]), [0], "features must be real numbers, but have the type <U1"),
        (np.array([[1j]]), [0], "features must be real numbers, but have the type complex128"),
        (np.eye(2), [0.5, 1], "labels are fractional numbers"),
    ],
)
def test_bad_input_is_named(features, labels, words):
    with pytest.raises(InputError, match=words):
        ClassStatistics.from_features(features, labels)


def test_nan_deep_in_a_long_batch_names_its_row():
    features = np.zeros((5000, 2), dtype=np.float32)
    features[4321, 1] = np.nan
    with pytest.raises(InputError, match="in 1 of 5000 rows, the first is row 4321; did the network overflow"):
        ClassStatistics.from_features(features, np.arange(5000) % 3)


def test_bad_names_and_widths_are_named(collapsed):
    stats = ClassStatistics.from_features(collapsed.features, collapsed.labels)
    with pytest.raises(InputError, match=r"class 'kiwi' is not known; the classes are 0, 1, 2, 3, 4, 5, 6, 7$"):
        stats.remove("kiwi")
    with pytest.raises(InputError, match="the classes are none yet"):
        ClassStatistics.empty(3).position(0)
    with pytest.raises(InputError, match="class 99 is to be held apart, but has no image; is the name spelt"):
        ClassStatistics.from_features(collapsed.features, collapsed.labels, apart=[99])
    with pytest.raises(InputError, match="12 and of 3 feature columns can't be added; were they extracted"):
        _ = stats + ClassStatistics.from_features(np.eye(3), [0, 1, 2])
    with pytest.raises(InputError, match="12 and of 3 feature columns can't be added"):
        _ = ClassStatistics.empty(12) + ClassStatistics.from_features(np.eye(3), [0, 1, 2])
    with pytest.raises(InputError, match=r"mixed type \(int and str\)"):
        _ = stats + ClassStatistics.from_features(np.zeros((1, 12)), ["a"])
    with pytest.raises(InputError, match="where .* was expected; were the batches extracted with different backbones"):
        ClassStatistics.from_batches([(np.eye(2), [0, 1]), (np.eye(3), [0, 1, 2])])
    with pytest.raises(TypeError):
        _ = stats + 3


def test_the_digest_tells_which_class_is_held_apart():
    X = np.random.default_rng(0).standard_normal((2, 3))
    one, other = (ClassStatistics.from_features(X, ["a", "b"], apart=[name]) for name in "ab")
    assert one.digest() != other.digest()


def test_a_renamed_class_keeps_every_number_and_a_merged_one_adds_up():
    random = np.random.default_rng(0)
    X, y = random.standard_normal((60, 4)), np.repeat(["a", "b", "c"], 20)
    stats = ClassStatistics.from_features(X, y)
    renamed = stats.rename("a", "z")
    assert renamed.classes == ("b", "c", "z")
    assert np.array_equal(renamed.means[[2, 0, 1]], stats.means)
    assert np.array_equal(renamed.within, stats.within)
    assert renamed.rename("z", "a").digest() == stats.digest()
    merged = stats.rename("a", "c", merge=True)
    whole = ClassStatistics.from_features(X, np.where(y == "a", "c", y))
    assert merged.classes == whole.classes
    assert np.allclose(merged.means, whole.means)
    assert np.allclose(merged.within, whole.within)
    assert np.allclose(merged.squares, whole.squares)
    with pytest.raises(InputError, match="'c' is there already; merge=True"):
        stats.rename("a", "c")
    one = ClassStatistics.from_features(X[:20], y[:20])
    assert np.array_equal(one.rename("a", "q").within, one.within)
