from types import SimpleNamespace

import numpy as np
import pytest

from ncapps.features.class_head import head_of_classes

HEAD = SimpleNamespace(weight=np.arange(6.0).reshape(3, 2), bias=np.arange(3.0))


def test_the_rows_follow_the_class_names():
    found = head_of_classes(HEAD, ("c", "a", "b"), ("a", "b", "c"))
    assert found.bias.tolist() == [1, 2, 0]
    assert np.array_equal(found.weight, HEAD.weight[[1, 2, 0]])
    features = np.array([[1.0, -2.0]])
    assert found(features).tolist() == [(HEAD.weight @ features[0] + HEAD.bias)[[1, 2, 0]].tolist()]


def test_a_head_without_bias_keeps_none():
    found = head_of_classes(SimpleNamespace(weight=HEAD.weight, bias=None), ("b", "a", "c"), ("a", "b", "c"))
    assert found.bias is None
    assert found(np.array([[1.0, 0.0]])).tolist() == [[2.0, 0.0, 4.0]]


@pytest.mark.parametrize("names", [("x", "y", "z"), ("a", "b"), None])
def test_a_head_of_other_classes_is_left_out(names):
    assert head_of_classes(HEAD, names, ("a", "b") if names is None else ("a", "b", "c")) is None


def test_numbers_from_zero_are_rows_whatever_the_head_calls_them():
    assert head_of_classes(HEAD, ("c", "a", "b"), (0, 1, 2)) is HEAD
    assert head_of_classes(HEAD, None, (4, 7, 9)) is HEAD
    assert head_of_classes(HEAD, ("c", "a", "b"), (1, 2, 3)) is None


@pytest.mark.parametrize("head", [None, SimpleNamespace(weight=None, bias=None)])
def test_a_head_that_is_not_affine_is_left_out(head):
    assert head_of_classes(head, None, ("a", "b", "c")) is None
