import pytest

from ncapps.errors import InputError
from ncapps.report.palette import class_colour, group_colour, text_colour


def test_the_first_24_classes_and_6_groups_have_colours_of_their_own():
    assert len({class_colour(place) for place in range(24)}) == 24
    assert len({group_colour(place) for place in range(6)}) == 6


def test_there_is_a_colour_for_every_place():
    assert all(len(class_colour(place)) == 7 for place in range(1000))
    with pytest.raises(InputError, match="0 or more, but -1 came"):
        class_colour(-1)
    with pytest.raises(InputError, match="0 or more, but -1 came"):
        group_colour(-1)


def test_text_is_dark_on_light_and_light_on_dark():
    assert text_colour("#ffffff") != "#ffffff"
    assert text_colour("#000000") == "#ffffff"
