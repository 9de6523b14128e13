from dataclasses import replace

import numpy as np
import pytest

from ncapps.transfer import BackboneRow, Estimate
from ncapps.transfer.pareto import pareto_front
from ncapps.transfer.recommend import recommend, sentence


def test_the_front_is_what_none_beats_on_both():
    random = np.random.default_rng(0)
    costs, values = random.integers(0, 6, 40), random.integers(0, 6, 40)
    for place, on_front in enumerate(pareto_front(costs, values)):
        beaten = any(
            c <= costs[place] and v >= values[place] and (c, v) != (costs[place], values[place])
            for c, v in zip(costs, values, strict=True)
        )
        assert on_front == (not beaten)


def test_equal_points_are_both_on_the_front():
    assert pareto_front([1, 1, 2], [0.5, 0.5, 0.5]).tolist() == [True, True, False]


def row(name, value, milliseconds, behind, noise=0.02):
    wave = noise * np.sin(np.arange(20))
    return BackboneRow(
        name=name,
        width=8,
        scores={"held_out_classes": Estimate(replicates=value + wave)},
        behind=Estimate(replicates=behind + wave),
        milliseconds=milliseconds,
    )


BEST = row("best", 0.80, 10.0, 0.0, 0.0)
NEAR = row("near", 0.795, 3.0, 0.005)
FAR = row("far", 0.60, 1.0, 0.2)


def test_the_cheapest_that_cannot_be_told_from_the_best_is_taken():
    assert recommend([BEST, NEAR, FAR]).name == "near"
    said = sentence([BEST, NEAR, FAR], "held_out_classes")
    assert said.startswith("Take near: 79.5 % (")
    assert ") at 3 ms an image. The best, best, has 80.0 % (80.0 to 80.0) at 10 ms an image" in said
    assert said.endswith("these images can't tell the two apart.")


def test_a_cheap_one_that_is_clearly_worse_is_not():
    assert recommend([BEST, FAR]) is BEST
    assert sentence([BEST, FAR], "held_out_classes").endswith("at 10 ms an image, clearly above all others.")


def test_a_tenth_of_the_time_is_noise():
    close = replace(NEAR, milliseconds=9.5)
    assert recommend([BEST, close]) is BEST
    assert sentence([BEST, close], "held_out_classes").endswith(
        "can't tell it from near, which is not clearly cheaper."
    )


def test_without_costs_the_best_is_taken():
    rows = [replace(one, milliseconds=None) for one in (BEST, NEAR)]
    assert recommend(rows) is rows[0]
    assert sentence(rows, "held_out_classes").endswith("the best; these images can't tell it from near.")


@pytest.mark.parametrize("milliseconds", [None, 2.0])
def test_a_single_one_is_told_alone(milliseconds):
    rows = [replace(BEST, milliseconds=milliseconds)]
    assert sentence(rows, "held_out_classes").endswith("; there is no other to compare it with.")
