import dataclasses
import json
from pathlib import Path

import pytest
from training_runs import TINY

from ncapps import config
from ncapps.benchmarks.weight_bits import COLLAPSED, STOPPED, WeightBitsSettings, measure_weight_bits
from ncapps.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found():
    tiny = dataclasses.replace(TINY, augment="none", learning_rate=0.1, epochs=3, batch_size=64, measure_images=200)
    return measure_weight_bits(
        WeightBitsSettings(output="", train=tiny, stopped_epochs=1, bits=(8, 2), seeds=(0,), calibration=64)
    )


def test_every_network_is_rounded_to_every_number_of_bits_both_ways(found):
    keys = {(row["arm"], row["bits"], row["rounding"]) for row in found["rows"]}
    assert len(keys) == len(found["rows"]) == 2 * 2 * 2
    assert [row["epochs"] for row in found["networks"]] == [3, 1]
    assert json.loads(json.dumps(found))["claim"]


def test_images_that_were_trained_on_are_not_reported_on(found):
    assert {row["images"] for row in found["rows"]} == {1797 - 1078}


def test_fewer_bits_move_the_outputs_more_and_absorption_moves_them_less(found):
    error = {(row["arm"], row["bits"], row["rounding"]): row["output_error"] for row in found["rows"]}
    for arm in (COLLAPSED, STOPPED):
        assert error[arm, 8, "nearest"] < 0.1 < error[arm, 2, "nearest"]
        assert error[arm, 2, "absorbing"] < error[arm, 2, "nearest"]


def test_verdicts_follow_from_the_intervals(found):
    for row in found["claim"]:
        pooled = {p["arm"]: p for p in found["pooled"] if (p["bits"], p["rounding"]) == (row["bits"], row["rounding"])}
        apart = (
            pooled[COLLAPSED]["interval"][1] < pooled[STOPPED]["interval"][0],
            pooled[STOPPED]["interval"][1] < pooled[COLLAPSED]["interval"][0],
        )
        assert (
            row["verdict"]
            == {
                (True, False): "collapsed networks lose less",
                (False, True): "collapsed networks lose more",
                (False, False): "no difference shown",
            }[apart]
        )
        assert row["collapsed"] == pytest.approx(pooled[COLLAPSED]["points"])


def test_mistakes_and_the_config():
    with pytest.raises(InputError, match="below the 30 epochs of the training to collapse, but 30 came"):
        WeightBitsSettings(output="", stopped_epochs=30)
    with pytest.raises(InputError, match="bits and seeds must name one"):
        WeightBitsSettings(output="", seeds=())
    assert config.load(WeightBitsSettings, ROOT / "configs/compress/weight_bits.yaml").train.loss == "mse"
