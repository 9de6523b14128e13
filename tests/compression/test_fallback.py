import math

from hypothesis import given
from hypothesis import strategies as st

from ncapps.compression.fallback import fewest_in_float32


@given(st.integers(0, 40), st.data())
def test_the_fewest_are_found_in_few_trials(layers, data):
    needed = data.draw(st.integers(0, layers))
    errors = {f"layer{i}": float(layers - i) for i in range(layers)}
    trials = []

    def passes(left):
        trials.append(left)
        return len(left) >= needed

    assert fewest_in_float32(errors, passes) == tuple(f"layer{i}" for i in range(needed))
    assert len(trials) <= 2 * math.log2(layers + 1) + 2


def test_nothing_passes():
    assert fewest_in_float32({"a": 1.0, "b": 2.0}, lambda left: False) is None


def test_what_is_returned_has_passed_even_where_the_order_misleads():
    """Passing is not monotone here: two layers do, three do not, four do."""
    found = fewest_in_float32({name: 1.0 for name in "abcd"}, lambda left: len(left) in (2, 4))
    assert found == ("a", "b")
