"""Class names of folders and of the command line as the numbers of a network's outputs."""

from __future__ import annotations

from collections.abc import Sequence

from ncapps.arrays import Label
from ncapps.errors import InputError


def class_codes(labels: Sequence[Label] | None, classes: Sequence[str] | None) -> list[int] | None:
    """Return each image's output, or None where its folder's name is not that of one: then no answer is the right one.

    Examples
    --------
    >>> class_codes(["dog", "cat"], ("cat", "dog"))
    [1, 0]
    >>> class_codes(["shed"], ("cat", "dog")) is None
    True
    """
    if labels is None or classes is None or not set(map(str, labels)) <= set(classes):
        return None
    return [list(classes).index(str(label)) for label in labels]


def class_numbers(chosen: Sequence[str], classes: Sequence[str] | None) -> tuple[int, ...]:
    """Return the outputs that are meant, by their names where the network tells them, or by numbers from 0.

    Raises
    ------
    InputError
        If a name is not known, or the network's weights tell no names and it is not a number.

    Examples
    --------
    >>> class_numbers(["dog", "0"], ("cat", "dog"))
    (1, 0)
    """
    numbers = []
    for name in chosen:
        if classes is not None and name in classes:
            numbers.append(list(classes).index(name))
        elif name.isdecimal():
            numbers.append(int(name))
        else:
            known = f"one of {', '.join(classes[:10])}" if classes else "a number, for the weights tell no names"
            raise InputError(f"--classes takes {known}, but {name!r} came")
    return tuple(numbers)
