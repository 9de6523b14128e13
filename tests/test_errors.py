import pytest

from ncapps.errors import InputError


def test_bad_input_is_a_value_error():
    with pytest.raises(ValueError, match="mend"):
        raise InputError("the mend")
