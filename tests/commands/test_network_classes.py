import pytest

from ncapps.commands.network_classes import class_codes, class_numbers
from ncapps.errors import InputError


def test_folders_named_otherwise_have_no_right_answer():
    assert class_codes(["b", "a", "b"], ("a", "b", "c")) == [1, 0, 1]
    assert class_codes(["b", "shed"], ("a", "b")) is None
    assert class_codes(["b"], None) is None
    assert class_codes(None, ("a",)) is None


def test_a_name_goes_before_a_number():
    assert class_numbers(["1", "b", "2"], ("1", "b", "c")) == (0, 1, 2)
    assert class_numbers(["3"], None) == (3,)


def test_errors_name_the_cause():
    with pytest.raises(InputError, match="takes one of a, b, but 'dgo' came"):
        class_numbers(["dgo"], ("a", "b"))
    with pytest.raises(InputError, match="a number, for the weights tell no names, but 'dog' came"):
        class_numbers(["dog"], None)
