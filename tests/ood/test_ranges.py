import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.ood.ranges import check_range


@pytest.mark.parametrize(
    ("closed", "allowed", "refused"),
    [
        ("neither", [0.1, 5, 9.9], [0, 10, -1, 11]),
        ("low", [0, np.float32(5)], [10, -1]),
        ("high", [10, np.int64(5)], [0, 11]),
        ("both", [0, 10], [-1e-9, 10.01]),
    ],
)
def test_bounds_are_open_or_closed(closed, allowed, refused):
    for value in allowed:
        check_range("p", value, 0, 10, closed=closed)
    for value in refused:
        with pytest.raises(InputError, match="p must be a number in"):
            check_range("p", value, 0, 10, closed=closed)


@pytest.mark.parametrize("value", [None, "5", True, [5], float("nan"), 5j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match=r"p must be a number in \(0, 10\), but .* came; ninety is 90"):
        check_range("p", value, 0, 10, hint="ninety is 90")


def test_whole_numbers():
    check_range("M", np.int32(3), 1, np.inf, whole=True)
    with pytest.raises(InputError, match=r"M must be a whole number in \[1, inf\), but 2.5 came"):
        check_range("M", 2.5, 1, np.inf, closed="low", whole=True)
