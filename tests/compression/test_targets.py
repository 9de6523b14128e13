"""One target of several, within its range; every mistake names it."""

import pytest

from ncapps.compression.targets import target_of
from ncapps.errors import InputError


def test_the_unit_goes_with_what_was_asked():
    assert target_of() == ("macs", None)
    assert target_of(max_drop=1.0) == ("macs", None)
    assert target_of(params=0.4, max_drop=0) == ("params", 0.4)
    assert target_of(latency_ms=4.5, latency_batch=8) == ("latency", 4.5)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"macs": 0.5, "params": 0.5}, "macs=0.5 and params=0.5 are two targets; give one of them"),
        ({"macs": 0.5, "latency_ms": 3}, "macs=0.5 and latency_ms=3 are two targets"),
        ({"macs": 1.0}, "macs is the fraction of operations to keep, between 0 and 1, but 1.0 came"),
        ({"macs": "0.5"}, "macs is the fraction of operations to keep, between 0 and 1, but '0.5' came"),
        ({"max_drop": "1"}, "max_drop is in percentage points, from 0 to 100, but '1' came"),
        ({"latency_ms": "9"}, "latency_ms is the milliseconds of one forward pass, above 0, but '9' came"),
        ({"params": 0}, "params is the fraction of parameters to keep, between 0 and 1, but 0 came"),
        ({"latency_ms": 0}, "latency_ms is the milliseconds of one forward pass, above 0, but 0 came"),
        ({"latency_ms": float("nan")}, "latency_ms is the milliseconds of one forward pass, above 0, but nan came"),
        ({"latency_ms": float("inf")}, "above 0, but inf came"),
        ({"latency_ms": 3, "latency_batch": 0}, "latency_batch is how many images a timed pass has, 1 or more, but 0"),
        ({"max_drop": 100}, "max_drop is in percentage points, from 0 to 100, but 100 came"),
    ],
)
def test_a_mistake_is_one_line_with_its_unit(asked, words):
    with pytest.raises(InputError, match=words) as caught:
        target_of(**asked)
    assert "\n" not in str(caught.value)
