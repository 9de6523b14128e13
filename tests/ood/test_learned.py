import numpy as np

from ncapps.ood.learned import Learned


def three():
    return Learned(arrays={"means": np.arange(6.0).reshape(3, 2), "scale": np.ones(1)}, classes=("a", "c", "d"))


def test_rows_are_inserted_in_the_order_of_names():
    grown = three().with_rows({"e": {"means": [8.0, 9]}, "b": {"means": [6.0, 7]}})
    assert grown.classes == ("a", "b", "c", "d", "e")
    assert grown["means"].tolist() == [[0, 1], [6, 7], [2, 3], [4, 5], [8, 9]]
    assert grown["scale"] is not None


def test_what_is_inserted_and_dropped_leaves_the_rest_bit_for_bit():
    base = three()
    again = base.with_rows({"b": {"means": [0.1, 0.2]}}).without("b", ("means",))
    assert again.classes == base.classes
    assert np.array_equal(again["means"], base["means"])
    assert base.without("c", ("means",))["means"].tolist() == [[0, 1], [4, 5]]


def test_once_builds_once_and_anew_after_a_change():
    base, calls = three(), []
    assert [base.once("sum", lambda: calls.append(1) or 7) for _ in range(3)] == [7, 7, 7]
    assert len(calls) == 1
    assert base.without("a", ("means",)).once("sum", lambda: 8) == 8
