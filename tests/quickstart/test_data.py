import numpy as np

from ncapps.quickstart import digits_task
from ncapps.quickstart.data import DRAWS, KNOWN, SHOTS


def test_no_image_is_in_two_parts():
    task = digits_task(1)
    keys = [key for part in (task.train, task.calibration, task.test, task.added) for key in part.keys]
    assert len(keys) == len(set(keys)) == 1797
    assert set(task.train.labels) == set(task.calibration.labels) == set(task.test.labels) == set(KNOWN)


def test_every_draw_has_five_images_of_each_added_digit():
    task = digits_task(1)
    assert len(task.shots) == DRAWS
    for shots in task.shots:
        assert {digit: set(task.added.select(rows).labels) for digit, rows in shots.items()} == {8: {8}, 9: {9}}
        assert all(len(set(rows)) == SHOTS for rows in shots.values())


def test_the_seed_decides():
    assert digits_task(3).train.keys == digits_task(3).train.keys
    assert digits_task(3).train.keys != digits_task(4).train.keys
    assert digits_task(3).shots[0][8].tolist() != digits_task(4).shots[0][8].tolist()


def test_unknown_images_have_the_digits_size():
    task = digits_task(0)
    sizes = {source.read(0).size for source in task.unknown.values()}
    assert sizes == {task.train.read(0).size}
    assert np.asarray(task.unknown["noise"].read(0)).std() > 0
