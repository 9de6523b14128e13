from __future__ import annotations

import zipfile

import numpy as np
import pytest
from omniglot_zips import ALPHABETS, DRAWERS, drawing, write_background, write_runs

from ncapps.benchmarks.omniglot_data import Drawings, draw_runs, read_drawings, read_runs
from ncapps.errors import InputError


@pytest.fixture(scope="module")
def drawings(tmp_path_factory) -> Drawings:
    return read_drawings([write_background(tmp_path_factory.mktemp("omniglot") / "small.zip")], 21)


def read_alone(folder, pixels, side=21):
    """Return what a drawing becomes, read from an archive that holds nothing else."""
    archive = write_background(folder / "alone.zip", {"Only": 1}, drawn=lambda *place: pixels)
    return read_drawings([archive], side).pixels[0]


def disk(radius, x=40, y=40, side=105):
    down, across = np.mgrid[:side, :side]
    return np.where((down - y) ** 2 + (across - x) ** 2 <= radius**2, 0, 255).astype(np.uint8)


def test_every_drawing_is_read_once_with_its_character_and_drawer(drawings, tmp_path):
    assert len(drawings) == sum(ALPHABETS.values()) * DRAWERS
    assert sorted(set(drawings.alphabets)) == sorted(ALPHABETS)
    row = np.flatnonzero((drawings.characters == "Lines/character02") & (drawings.drawers == 3))
    np.testing.assert_array_equal(drawings.pixels[row[0]], read_alone(tmp_path, drawing("Lines", 2, 3)))


def test_ink_is_bright_and_its_place_does_not_count(tmp_path):
    here, there = read_alone(tmp_path, disk(15), 40), read_alone(tmp_path, disk(15, x=70, y=30), 40)
    np.testing.assert_array_equal(here, there)
    assert here[20, 20] == 255
    assert not here[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_sizes_are_brought_nearer_but_not_leveled(tmp_path):
    small, large = (np.count_nonzero(read_alone(tmp_path, disk(radius), 40) > 127) for radius in (10, 30))
    assert 1.5 < large / small < 3


def test_an_empty_drawing_stays_empty(tmp_path):
    assert not read_alone(tmp_path, np.full((105, 105), 255, np.uint8)).any()


def test_a_drawing_in_two_archives_counts_once(drawings, tmp_path):
    first = write_background(tmp_path / "a.zip", {"Dots": 3, "Lines": 4})
    second = write_background(tmp_path / "b.zip", {"Lines": 4, "Signs": 3}, top="other_top")
    both = read_drawings([first, second], 21)
    np.testing.assert_array_equal(both.characters, drawings.characters)
    np.testing.assert_array_equal(both.pixels, drawings.pixels)


def test_another_drawing_under_the_same_name_is_refused(tmp_path):
    first = write_background(tmp_path / "a.zip")
    second = write_background(tmp_path / "b.zip", drawn=lambda *place: drawing(*place)[::-1])
    with pytest.raises(InputError, match="one edition"):
        read_drawings([first, second], 21)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="NUMBER_DRAWER"):
        read_drawings([write_runs(tmp_path / "runs.zip")], 21)


def test_a_split_parts_alphabets_and_refuses_one_that_is_not_there(drawings):
    known, held = drawings.split(["Lines"])
    assert set(held.alphabets) == {"Lines"}
    assert set(known.alphabets) == {"Dots", "Signs"}
    assert len(known) + len(held) == len(drawings)
    with pytest.raises(InputError, match="no alphabet 'Greek'"):
        drawings.split(["Greek"])


def test_the_lists_pair_each_test_drawing_with_its_character(tmp_path):
    pixels, runs = read_runs(write_runs(tmp_path / "runs.zip", runs=3, characters=5), 21)
    assert len(pixels) == 3 * 10
    assert [len(run.test) for run in runs] == [5, 5, 5]
    for number, run in enumerate(runs, 1):
        for row, answer in zip(run.test, run.answers, strict=True):
            asked, known = (drawing(f"Run{number}", answer + 1, drawer) for drawer in (2, 1))
            np.testing.assert_array_equal(pixels[row], read_alone(tmp_path, asked))
            np.testing.assert_array_equal(pixels[run.training[answer]], read_alone(tmp_path, known))


def test_a_list_that_names_a_missing_drawing_is_refused(tmp_path):
    path = write_runs(tmp_path / "runs.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("run01/more_class_labels.txt", "run01/test/item99.png run01/training/class01.png\n")
    with pytest.raises(InputError, match="run01/test/item99"):
        read_runs(path, 21)


def test_runs_are_drawn_within_an_alphabet_and_across_drawers(drawings):
    runs = draw_runs(drawings, 30, ways=3, seed=4)
    for run in runs:
        known, asked = drawings.select(run.training), drawings.select(run.test)
        assert len(set(known.characters)) == 3
        assert len(set(known.alphabets)) == len(set(known.drawers)) == len(set(asked.drawers)) == 1
        assert known.drawers[0] != asked.drawers[0]
        np.testing.assert_array_equal(known.characters[run.answers], asked.characters)
    turns = [drawings.alphabets[run.training[0]] for run in runs]
    assert turns == [sorted(ALPHABETS)[place % 3] for place in range(30)]
    again = draw_runs(drawings, 30, ways=3, seed=4)
    assert all(np.array_equal(one.test, other.test) for one, other in zip(runs, again, strict=True))
    other = draw_runs(drawings, 30, ways=3, seed=5)
    assert any(not np.array_equal(one.test, two.test) for one, two in zip(runs, other, strict=True))


def test_a_small_alphabet_gives_all_its_characters(drawings):
    assert sorted(len(run.training) for run in draw_runs(drawings, 3)) == sorted(ALPHABETS.values())


def test_the_shared_archives_hold_what_lake_published(data_root):
    data = data_root / "data"
    known = read_drawings([data / "omniglot_small1.zip", data / "omniglot_small2.zip"], 16)
    assert (len(known), len(set(known.characters)), len(set(known.alphabets))) == (4840, 242, 8)
    pixels, runs = read_runs(data / "omniglot_one_shot_runs.zip", 16)
    assert (len(pixels), len(runs), sum(len(run.answers) for run in runs)) == (800, 20, 400)
    assert all(sorted(run.answers) == list(range(20)) for run in runs)
    # Another edition's drawings of the same people would leak answers: none of the background is among the runs.
    assert not {image.tobytes() for image in known.pixels} & {image.tobytes() for image in pixels}
