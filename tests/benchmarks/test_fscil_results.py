"""What is told of an FSCIL run: summaries, intervals, and the paired lead."""

import json

import numpy as np
import pytest
from fscil_world import make_run
from scipy import stats

from ncapps.benchmarks.bootstrap import interval
from ncapps.benchmarks.fscil import accuracies, draw_shots, run_draw
from ncapps.benchmarks.fscil_heads import make_head
from ncapps.benchmarks.fscil_results import SUMMARIES, HeadRun, LastSession, compare, describe, mean_interval, summarise
from ncapps.errors import InputError


def run_of(name, data, draws=4):
    head = make_head(name).fit(data.base_session())
    redraws = np.stack([run_draw(head, data, draw_shots(data, 5, seed)) for seed in range(draws)])
    return HeadRun(name=name, canonical=run_draw(head, data, data.canonical), redraws=redraws, seconds={})


def test_summaries_are_taken_over_the_sessions():
    data = make_run()
    run = run_of("average-cosine", data)
    figures = accuracies(run.redraws, data.arrival)
    found = summarise(figures)
    assert tuple(found) == SUMMARIES
    np.testing.assert_allclose(found["average"], figures["all"].mean(axis=1))
    np.testing.assert_allclose(found["drop"], figures["all"][:, 0] - found["last"])
    np.testing.assert_allclose(found["last"], (6 * found["base"] + 6 * found["new"]) / 12)


def test_the_interval_of_a_mean_is_student_s():
    values = np.random.default_rng(0).normal(size=10)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    np.testing.assert_allclose(mean_interval(values, 0.9)[1:], [expected.low, expected.high])
    assert mean_interval(values[:1]) == [values[0]]
    with pytest.raises(InputError, match="one draw or more"):
        mean_interval(values[:0])


def test_figures_are_json_and_hold_every_session():
    data = make_run()
    found = json.loads(json.dumps(describe(run_of("average-cosine", data), data.arrival, 0.95)))
    assert found["canonical"]["sessions"]["new"][0] is None
    assert len(found["redraws"]["sessions"]["all"]) == 3
    for name in SUMMARIES:
        mean, low, high = found["redraws"]["summary"][name]
        assert low <= mean <= high


def test_a_head_has_no_lead_over_itself_and_a_better_one_has():
    data = make_run()
    good = run_of("average-cosine", data)
    twin = HeadRun(name="twin", canonical=good.canonical, redraws=good.redraws, seconds={})
    rng = np.random.default_rng(0)
    worse = good.redraws & (rng.random(good.redraws.shape) < 0.7)
    poor = HeadRun(name="poor", canonical=good.canonical, redraws=worse, seconds={})
    options = {"level": 0.95, "resamples": 200, "seed": 0}
    found = compare([good, twin, poor], good.name, data.test_labels, data.arrival, **options)
    assert found["twin"]["harmonic"] == [0, 0, 0]
    assert found["poor"]["harmonic"][1] > 0
    assert found["poor"]["summary"]["last"][1] > 0
    against = compare([good, twin, poor], "poor", data.test_labels, data.arrival, **options)
    np.testing.assert_allclose(against[good.name]["harmonic"][0], -found["poor"]["harmonic"][0])
    assert compare([good], "another", data.test_labels, data.arrival, **options) == {}


def test_the_bootstrap_surrounds_the_mean_and_widens_with_fewer_images():
    data = make_run(spread=1.2)
    run = run_of("average-cosine", data, draws=6)
    mean = summarise(accuracies(run.redraws, data.arrival))["harmonic"].mean()
    whole = LastSession(6, data.test_labels, data.arrival, resamples=400)
    low, high = interval(whole.replicates(run.redraws[:, -1]))
    assert low < mean < high
    few = np.concatenate([np.flatnonzero(data.test_labels == name)[:5] for name in np.unique(data.test_labels)])
    part = LastSession(6, data.test_labels[few], data.arrival[few], resamples=400)
    low_of_few, high_of_few = interval(part.replicates(run.redraws[:, -1][:, few]))
    assert high_of_few - low_of_few > high - low


def test_a_bootstrap_of_nothing_is_refused():
    with pytest.raises(InputError, match="draws and resamples"):
        LastSession(0, np.array(["a"]), np.array([0]))
