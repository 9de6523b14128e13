"""Trials of the drift monitor: what they count is right where it is known, and they can fail."""

import json
import runpy
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from ood_world import make_world
from scipy.stats import binom

from ncapps import config
from ncapps.benchmarks import drift_trials as module
from ncapps.benchmarks.drift_trials import DriftTrialSettings, drift_trials
from ncapps.errors import InputError
from ncapps.ood.drift import DriftMonitor

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "drift.py"
SHORT = DriftTrialSettings(runs=20, known_images=400, change_after=200, unknown_images=200)


def scores(count, shift=0.0, seed=0):
    return np.random.default_rng([seed, count]).standard_normal(count) + shift


class Fixed:
    """A monitor that alarms at the image told by its run, and writes down what it was made with."""

    made: list
    alarms: list

    def __init__(self, calibration_size, **settings):
        self.made.append((calibration_size, settings))
        self.wanted = self.alarms[(len(self.made) - 1) % len(self.alarms)]
        self.seen, self.alarm_at = 0, None

    @property
    def alarm(self):
        return self.alarm_at is not None

    def update(self, values):
        if self.wanted is not None and self.seen <= self.wanted < self.seen + len(values):
            self.alarm_at = self.wanted
        self.seen += len(values)
        return self


@pytest.fixture
def fixed(monkeypatch):
    def use(*alarms):
        monkeypatch.setattr(module, "DriftMonitor", type("Told", (Fixed,), {"made": [], "alarms": alarms}))
        return module.DriftMonitor

    return use


def test_alarms_and_delays_are_counted_from_the_change(fixed):
    kind = fixed(199, 200, 209, 399, None)
    found = drift_trials(scores(50), scores(300), {"far": scores(60)}, replace(SHORT, runs=5), fresh=False)
    # Over known images all but the last alarm; the first alarm comes before the change, at the 200th known image.
    assert (found.runs, found.false_alarms, found.false_alarm_share) == (5, 4, 0.8)
    assert asdict(found.changes["far"]) == {"early": 1, "missed": 1, "delay_median": 200.0, "delay_95": None}
    size, settings = kind.made[0]
    assert size == 50
    assert (settings["horizon"], settings["false_alarm_rate"]) == (400, 0.05)
    assert len({settings["seed"] for _, settings in kind.made}) == len(kind.made) == 10


def test_the_quantiles_are_those_that_the_runs_reach(fixed):
    fixed(*range(200, 220))
    found = drift_trials(scores(50), scores(300), {"far": scores(60)}, SHORT, fresh=False).changes["far"]
    assert (found.delay_median, found.delay_95) == (11.0, 20.0)
    fixed(3)
    found = drift_trials(scores(50), scores(300), {"far": scores(60)}, SHORT, fresh=False).changes["far"]
    assert (found.early, found.missed, found.delay_median, found.delay_95) == (20, 0, None, None)


@pytest.mark.parametrize("fresh", [False, True])
def test_known_images_raise_few_alarms_and_unknown_ones_do_soon(fresh):
    sets = {"far": scores(150, -6), "same": scores(150)}
    found = drift_trials(scores(200), scores(1500), sets, SHORT, fresh=fresh)
    assert found.false_alarms <= binom.ppf(0.999, 20, 0.05)
    assert found.changes["far"].missed == 0
    assert 3 <= found.changes["far"].delay_median <= found.changes["far"].delay_95 <= 60
    assert found.changes["same"].missed >= 15
    assert found.changes["same"].delay_median is None


def test_a_validation_split_unlike_the_stream_alarms_and_fresh_draws_do_not():
    validation, report = scores(200, 2), scores(1500)
    assert drift_trials(validation, report, {}, SHORT, fresh=False).false_alarms == 20
    assert drift_trials(validation, report, {}, SHORT, fresh=True).false_alarms <= 4


@pytest.mark.parametrize("fresh", [False, True])
def test_no_image_both_calibrates_and_streams(monkeypatch, fresh):
    calibrations = []

    def watching(stream, calibration):
        assert not set(stream) & set(calibration)
        calibrations.append(frozenset(calibration))
        return np.full(len(stream), 1.0)

    monkeypatch.setattr(module, "p_values", watching)
    validation = scores(100)
    drift_trials(validation, scores(120, seed=1), {"far": scores(30, seed=2)}, replace(SHORT, runs=4), fresh=fresh)
    assert all(len(one) == 100 for one in calibrations)
    assert len(set(calibrations)) == (8 if fresh else 1)
    assert fresh or calibrations[0] == set(validation)


def test_the_seed_decides_and_blocks_do_not(monkeypatch):
    sets = {"far": scores(150, -2)}
    first, again, other = (
        drift_trials(scores(200), scores(900), sets, replace(SHORT, seed=seed), fresh=True) for seed in (0, 0, 1)
    )
    assert first == again != other
    monkeypatch.setattr(module, "_BLOCK", 7)
    assert drift_trials(scores(200), scores(900), sets, SHORT, fresh=True) == first


def test_left_out_settings_are_the_promised_ones(fixed):
    kind = fixed(5)
    assert drift_trials(scores(50), scores(300), {}, fresh=False).runs == 200
    assert kind.made[0][1]["horizon"] == 10_000
    assert DriftMonitor(10).horizon == 10_000
    assert DriftTrialSettings().change_after == 2_000


@pytest.mark.parametrize("name", ["runs", "known_images", "change_after", "unknown_images"])
def test_bad_settings_are_refused(name):
    with pytest.raises(InputError, match=f"{name} must be 1 or more, but 0 came"):
        DriftTrialSettings(**{name: 0})


def test_empty_sets_and_nan_are_refused():
    with pytest.raises(InputError, match="set 'far' holds no scores to draw from"):
        drift_trials(scores(9), scores(9), {"far": np.zeros(0)}, SHORT, fresh=True)
    with pytest.raises(InputError, match="set 'validation' holds no scores"):
        drift_trials(np.zeros(0), scores(9), {}, SHORT, fresh=True)
    with pytest.raises(InputError, match="1 of 2 report scores are NaN"):
        drift_trials(scores(9), np.array([0.0, np.nan]), {}, SHORT, fresh=True)


def test_the_recipe_writes_what_it_found(tmp_path, monkeypatch, capsys):
    config.dump(make_world(tmp_path), tmp_path / "animals.yaml")
    output = tmp_path / "drift.json"
    arguments = ["--config", str(tmp_path / "animals.yaml"), "--results", str(output), "--runs", "2"]
    monkeypatch.setattr("sys.argv", ["drift.py", *arguments])
    runpy.run_path(str(RECIPE), run_name="__main__")
    found = json.loads(output.read_text(encoding="utf-8"))
    assert (found["task"], found["detector"]) == ("animals", "etf")
    assert found["settings"] == asdict(DriftTrialSettings(runs=2))
    assert "numpy" in found["environment"]["versions"]
    network, said = found["networks"][0], capsys.readouterr().out
    assert network["sets"]["report"]["images"] == 36
    for calibration in ("fresh", "given"):
        trials = network[calibration]
        assert trials["false_alarm_share"] == trials["false_alarms"] / 2
        assert set(trials["changes"]) == {"tin", "specks"}
        assert f"small, {calibration} calibration: {trials['false_alarm_share']:.1%}" in said
