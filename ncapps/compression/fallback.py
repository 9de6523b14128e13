"""Which layers stay in float32: the fewest of the worst that let the network pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def fewest_in_float32(errors: Mapping[str, float], passes: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...] | None:
    """Return the layers that have to stay in float32, worst first; None if the network fails without all of them too.

    The number is doubled until the network passes, then halved in upon: some 2 log2(layers) trials. A smaller set may
    exist where the errors do not order the layers rightly; the one returned has passed.

    Parameters
    ----------
    errors : mapping
        What each layer's quantization alone does to the outputs.
    passes : callable
        Tells whether the network passes with these layers in float32.

    Examples
    --------
    >>> fewest_in_float32({"a": 0.1, "b": 9.0, "c": 3.0}, lambda left: {"b", "c"} <= set(left))
    ('b', 'c')
    """
    worst = sorted(errors, key=lambda name: -errors[name])
    failed, count = -1, 0
    while not passes(tuple(worst[:count])):
        if count == len(worst):
            return None
        failed, count = count, min(max(1, 2 * count), len(worst))
    passed = count
    while passed - failed > 1:
        middle = (passed + failed) // 2
        if passes(tuple(worst[:middle])):
            passed = middle
        else:
            failed = middle
    return tuple(worst[:passed])
