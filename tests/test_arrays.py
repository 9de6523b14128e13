"""The edge: what comes in, what is refused and in which words, and in whose kind results leave."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from ncapps.arrays import as_features, as_labels, as_matrix, check_finite, like, native, sorted_names, to_numpy
from ncapps.errors import InputError


@pytest.mark.parametrize("kind", ["numpy", "list", "tensor", "half", "bfloat16", "gradient"])
def test_any_kind_comes_in_with_its_values(kind):
    values = [[1.0, 2.5], [-3.0, 0.25]]
    given = {
        "numpy": np.array(values),
        "list": values,
        "tensor": torch.tensor(values),
        "half": torch.tensor(values).half(),
        "bfloat16": torch.tensor(values).bfloat16(),
        "gradient": torch.tensor(values, requires_grad=True),
    }[kind]
    features = as_features(given)
    assert features.dtype == np.float64
    assert features.tolist() == values


def test_memory_is_shared_where_it_can_be():
    array = np.zeros((2, 2))
    assert to_numpy(array) is array
    assert as_features(array) is array
    tensor = torch.zeros(2, 2)
    assert np.shares_memory(to_numpy(tensor), tensor.numpy())


def test_float32_is_left_to_callers_that_convert_by_chunks():
    assert as_features(np.ones((2, 2), np.float32), keep_float32=True).dtype == np.float32
    assert as_features(np.ones((2, 2), np.float16), keep_float32=True).dtype == np.float64


def test_results_leave_in_the_callers_kind():
    result = np.arange(4.0)
    assert like(result, np.zeros(1)) is result
    assert like(result, [0]) is result
    tensor = like(result[::2], torch.zeros(1))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float64
    assert tensor.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(3), r"have 1 dimensions, shape \(3,\); one image is features\[None, :\]"),
        (np.zeros((1, 2, 3, 4)), "have 4 dimensions.*pool or flatten the maps first"),
        (np.float64(1), r"have 0 dimensions, shape \(\)"),
        ([["a"]], "must be real numbers, but have the type <U1"),
        (np.zeros((1, 1), complex), "must be real numbers, but have the type complex128; Complex data not supported"),
        (np.array([[None]]), r"must be real numbers, but have the type object: float\(\) argument must be"),
        (np.array([["a"]], object), "must be real numbers, but have the type object: could not convert"),
        (np.zeros((2, 0)), r"no columns: 0 feature\(s\) \(shape=\(2, 0\)\) while a minimum of 1 is required"),
    ],
)
def test_what_is_no_feature_matrix_is_refused(values, words):
    for check in (as_features, as_matrix):
        with pytest.raises(InputError, match=words):
            check(values)


def test_objects_that_are_numbers_come_in():
    features = as_features(np.array([[1, 2.5], [np.float32(0.5), True]], object))
    assert features.dtype == np.float64
    assert features.tolist() == [[1.0, 2.5], [0.5, 1.0]]


def test_a_sparse_matrix_is_refused_as_a_type_error_too():
    for kind in (InputError, TypeError):
        with pytest.raises(kind, match=r"sparse matrix, which is not supported; make it dense with .toarray\(\)"):
            as_features(csr_array(np.eye(2)))


class OnlyArray:
    """What numpy can read, and nothing else can."""

    def __array__(self, dtype=None, copy=None):
        return np.array([2, 1])


def test_labels_that_only_numpy_can_read_come_in():
    assert as_labels(OnlyArray()).tolist() == [2, 1]


def test_width_and_rows_are_checked():
    with pytest.raises(
        InputError, match="2048 features, but resnet18 is expecting 512 features as input; were they extracted with"
    ):
        as_features(np.zeros((1, 2048)), width=512, fitted_on="resnet18")
    with pytest.raises(InputError, match="this object is expecting 3"):
        as_features(np.zeros((1, 2)), width=3)
    with pytest.raises(InputError, match=r"2 image\(s\) or more are needed, but 1 came"):
        as_features(np.zeros((1, 2)), min_rows=2)
    assert as_features(np.zeros((0, 2)), width=2).shape == (0, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_bad_row_is_named(bad, dtype):
    features = np.ones((9, 3), dtype)
    features[4, 2] = features[7, 0] = bad
    with pytest.raises(InputError, match="in 2 of 9 rows, the first is row 4; did the network overflow in half"):
        as_features(features)


def test_opposite_infinities_do_not_cancel_and_large_sums_are_no_infinity():
    with pytest.raises(InputError, match="in 1 of 1 rows"):
        check_finite(np.array([[np.inf, -np.inf]]))
    check_finite(np.full((2, 2), 1e308))
    check_finite(np.full((100, 100), 3e38, np.float32))


@pytest.mark.parametrize(
    ("labels", "values", "kind"),
    [
        (["b", "a"], ["b", "a"], "U"),
        ((2, 1), [2, 1], "i"),
        ((label for label in "xyz"), ["x", "y", "z"], "U"),
        ([True, False], [1, 0], "i"),
        ([1.0, 2.0], [1, 2], "i"),
        (np.array([3, 4], np.uint8), [3, 4], "i"),
        (np.array(["a", "bcd"], object), ["a", "bcd"], "U"),
        (np.array([5, 6], object), [5, 6], "i"),
        (torch.tensor([7, 8]), [7, 8], "i"),
        ([torch.tensor(7), torch.tensor(8)], [7, 8], "i"),
        ([np.int64(1), np.int8(2)], [1, 2], "i"),
        ([np.str_("a"), "b"], ["a", "b"], "U"),
        ([], [], "i"),
        (np.zeros(0), [], "i"),
        ([-(2**62), 2**62], [-(2**62), 2**62], "i"),
    ],
)
def test_labels_become_int64_or_strings(labels, values, kind):
    array = as_labels(labels)
    assert array.tolist() == values
    assert array.dtype.kind == kind
    assert kind == "U" or array.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a", 1], r"mixed type \(int and str\); name all classes by strings, or all by integers"),
        (np.array(["a", 1], object), r"mixed type \(int and str\)"),
        (["a", None], r"mixed type \(NoneType and str\)"),
        ([None, None], "strings or integers, one an image, but hold NoneType; is a label missing or nested"),
        ([["a"], ["b"]], "hold list; is a label missing or nested"),
        ([b"a"], "hold bytes"),
        (np.array([b"a"]), "must be strings or integers, but have the type"),
        ([0.5, 1.0], r"fractional numbers \(Unknown label type: continuous\)"),
        ([1.0, np.nan], "fractional numbers"),
        ([1.0, np.inf], "fractional numbers"),
        (np.array(["2026-01-01"], dtype="datetime64[D]"), "must be strings or integers, but have the type datetime64"),
        ([10**30], "must fit 64 bits; name such classes by strings"),
        ([1e30], "must fit 64 bits"),
        (np.array([2**63], np.uint64), "must fit 64 bits"),
        (np.zeros((2, 2), int), r"one-dimensional, one label an image, but have the shape \(2, 2\)"),
        (np.int64(3), r"one-dimensional, one label an image, but have the shape \(\)"),
        ("cat", "must be a list, one label an image, but 'cat' came"),
        (7, "must be a list, one label an image, but 7 came"),
        (None, "must be a list, one label an image, but None came"),
    ],
)
def test_what_is_no_label_is_refused(labels, words):
    with pytest.raises(InputError, match=words):
        as_labels(labels)


def test_one_label_an_image():
    with pytest.raises(InputError, match="3 images came with 2 labels; one label an image is expected"):
        as_labels(["a", "b"], 3)


def test_names_are_plain_python():
    assert [type(native(name)) for name in (np.str_("a"), "a", np.int8(1), 1)] == [str, str, int, int]
    for name in (True, 1.0, None, ("a",)):
        with pytest.raises(InputError, match="a class is named by a string or an integer, but"):
            native(name)


@pytest.mark.parametrize("name", [2**63, -(2**63) - 1, 2**70])
def test_a_name_that_no_label_array_holds_is_refused(name):
    with pytest.raises(InputError, match="integer labels must fit 64 bits"):
        native(name)


def test_names_are_united_and_sorted_by_their_own_order():
    assert sorted_names([10, 9], np.array([2, 9])) == (2, 9, 10)
    assert sorted_names(["10", "9"], ["B", "a"]) == ("10", "9", "B", "a")
    assert sorted_names() == ()
    assert [type(name) for name in sorted_names(np.array(["b"]), [np.str_("a")])] == [str, str]
    assert [type(name) for name in sorted_names(np.array([2], np.int32), [np.int64(1)])] == [int, int]
    with pytest.raises(InputError, match="but True"):
        sorted_names([1], [True])
    with pytest.raises(InputError, match=r"class names are of mixed type \(int and str\); name all classes by strings"):
        sorted_names([1], ["1"])
