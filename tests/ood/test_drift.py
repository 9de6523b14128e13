"""The monitor's promises: few false alarms however small the calibration set, and an early alarm when images change."""

import copy
import math
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from ncapps.conformal import p_values
from ncapps.errors import InputError
from ncapps.ood.drift import DriftMonitor
from ncapps.ood.etf import ETFDetector


class Ranks(DriftMonitor):
    """A monitor that writes its online ranks down."""

    def _bet(self, rank):
        self.__dict__.setdefault("ranks", []).append(rank)
        super()._bet(rank)


class Bare(DriftMonitor):
    """A monitor that bets on the p-values themselves, as if the calibration images were endless."""

    def _rank(self, below, draw):
        return (below + 1 - draw) / (self.calibration_size + 1)


def same(a, b):
    """Whether two monitors are in the same state, bit for bit, and will draw the same numbers."""
    (arrays, header), (others, other) = a.state(), b.state()
    return (
        header == other
        and arrays.keys() == others.keys()
        and all(np.array_equal(arrays[name], others[name]) for name in arrays)
        and a._random.bit_generator.state == b._random.bit_generator.state
    )


def stream(random, calibration_size, known, unknown=0, shape=0.3):
    """P-values of known scores, then of scores whose p-values would be Beta(shape, 1) under endless calibration."""
    calibration = random.random(calibration_size)
    scores = np.concatenate([random.random(known), random.random(unknown) ** (1 / shape)])
    return p_values(scores, calibration)


def delays(calibration_size, known, runs, seed):
    """Return the number of unknown images up to the alarm, one a run; 0 or less is a false alarm, 1000 none at all."""
    found = []
    for run in range(runs):
        values = stream(np.random.default_rng([seed, run]), calibration_size, known, 400)
        at = DriftMonitor(calibration_size, seed=run).update(values).alarm_at
        found.append(1000 if at is None else at + 1 - known)
    return np.array(found)


def false_alarms(calibration_size, runs, images=10_000, kind=DriftMonitor, **settings):
    """Return how many of the runs alarm, each with calibration images of its own."""
    return sum(
        kind(calibration_size, seed=run, **settings)
        .update(stream(np.random.default_rng([3, calibration_size, run]), calibration_size, images))
        .alarm
        for run in range(runs)
    )


def test_by_hand():
    monitor = Ranks(1, seed=4)
    first, second = 1 - np.random.default_rng(4).random(2)
    # Below the one calibration image: rank among two. Then the same gap again: among three, two of them in the gap.
    monitor.update([0.5, 0.5])
    assert monitor.ranks == [first / 2, 2 * second / 3]
    sums = []
    for e in (0.2, 0.4, 0.6):
        bets = [e * rank ** (e - 1) for rank in monitor.ranks]
        sums.append((bets[0] + 1) * bets[1])
    assert monitor.evidence == pytest.approx(math.log10(1 + np.mean(sums)), rel=1e-12)
    assert monitor.threshold == pytest.approx(math.log10(200_001))
    assert (monitor.seen, monitor.alarm, monitor.alarm_at) == (2, False, None)


def test_the_online_ranks_are_uniform_and_independent_where_bare_p_values_repeat_the_calibration_error():
    ranks, bare = [], []
    for run in range(400):
        values = stream(np.random.default_rng([1, run]), 20, 60)
        monitor = Ranks(20, seed=run).update(values)
        ranks.append(monitor.ranks)
        bare.append(values)
    ranks, bare = np.array(ranks), np.array(bare)
    assert ((ranks > 0) & (ranks <= 1)).all()
    assert kstest(ranks.ravel(), "uniform").pvalue > 1e-3
    for place in (0, 5, 59):
        assert kstest(ranks[:, place], "uniform").pvalue > 1e-3
    # The mean of 60 independent uniforms has the variance 1 / 720; a shared calibration set adds far more to it.
    spread = ranks.mean(axis=1).var() * 720
    assert 0.75 < spread < 1.3
    assert bare.mean(axis=1).var() * 720 > 2
    neighbours = np.corrcoef(ranks[:, :-1].ravel(), ranks[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(400 * 59)


def test_tied_scores_make_the_ranks_larger_never_smaller():
    random = np.random.default_rng(2)
    ranks = []
    for run in range(300):
        scores = np.floor(6 * random.random(80))
        ranks.append(Ranks(30, seed=run).update(p_values(scores[30:], scores[:30])).ranks)
    ranks = np.ravel(ranks)
    for level in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(ranks <= level) <= level + 4 * np.sqrt(level / len(ranks))


@pytest.mark.parametrize("calibration_size", [20, 1000])
def test_few_false_alarms_in_ten_thousand_known_images(calibration_size):
    # At a true rate of 5 % more than this many come in one of a thousand such tests.
    assert false_alarms(calibration_size, 20) <= binom.ppf(0.999, 20, 0.05)


def test_without_online_ranks_the_calibration_error_raises_false_alarms():
    assert false_alarms(20, 20, kind=Bare) > binom.ppf(0.999, 20, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("calibration_size", [20, 200, 1000])
def test_at_most_five_percent_false_alarms_over_many_runs(calibration_size):
    assert false_alarms(calibration_size, 300) <= 15


def test_a_shorter_horizon_and_a_higher_rate_keep_their_promise_and_are_used():
    alarms = false_alarms(50, 300, images=300, false_alarm_rate=0.4, horizon=300)
    assert 0.05 * 300 < alarms <= binom.ppf(0.999, 300, 0.4)


@pytest.mark.parametrize("calibration_size", [200, 1000])
def test_the_alarm_comes_soon_after_the_change(calibration_size):
    found = delays(calibration_size, 2_000, 25, seed=5)
    assert np.sum(found <= 0) <= 2
    assert 3 <= np.median(found) <= 30
    assert found.max() <= 100


def test_a_long_quiet_time_does_not_delay_the_alarm():
    short, long = delays(1000, 200, 20, seed=6), delays(1000, 20_000, 10, seed=6)
    assert np.median(long) <= np.median(short) + 5


def test_larger_p_values_are_no_drift():
    random = np.random.default_rng(8)
    monitor = DriftMonitor(100).update(np.ceil(101 * random.random(3_000) ** 0.3) / 101)
    assert not monitor.alarm
    assert monitor.evidence < 2


def test_the_alarm_rises_at_the_first_image_whose_evidence_reaches_the_threshold():
    monitor = DriftMonitor(500, seed=1)
    values = stream(np.random.default_rng(12), 500, 100, 60)
    evidence = [monitor.update(value).evidence for value in values]
    assert monitor.alarm_at == np.argmax(np.array(evidence) >= monitor.threshold) > 100


def test_the_alarm_stays_until_reset_though_the_evidence_fades():
    monitor = DriftMonitor(100).update([1 / 101] * 30)
    at = monitor.alarm_at
    assert monitor.alarm
    assert 2 < at < 30
    assert monitor.evidence > monitor.threshold
    monitor.update(np.ceil(101 * np.linspace(0.5, 1, 500)) / 101)
    assert monitor.evidence < monitor.threshold
    assert monitor.alarm_at == at
    assert monitor.alarm
    assert monitor.reset() is monitor
    assert (monitor.alarm, monitor.alarm_at, monitor.seen, monitor.evidence) == (False, None, 0, 0.0)
    assert monitor.update([1 / 101] * 30).alarm


@given(sizes=st.lists(st.integers(0, 40), max_size=8), seed=st.integers(0, 2**40))
def test_batches_of_any_size_end_in_the_same_state(sizes, seed):
    values = np.random.default_rng(seed).integers(1, 52, size=sum(sizes)) / 51
    whole, parts = DriftMonitor(50, seed=seed).update(values), DriftMonitor(50, seed=seed)
    for part in np.split(values, np.cumsum(sizes)[:-1] if sizes else []):
        parts.update(part)
    singles = DriftMonitor(50, seed=seed)
    for value in values:
        singles.update(value)
    assert same(whole, parts)
    assert same(whole, singles)
    assert not same(whole, DriftMonitor(50, seed=seed + 1).update(values))


@pytest.mark.parametrize("alarmed", [False, True])
def test_after_load_the_stream_goes_on_as_if_it_had_never_stopped(tmp_path, alarmed):
    random = np.random.default_rng(9)
    values = stream(random, 80, 300)
    monitor = DriftMonitor(80, false_alarm_rate=0.1, horizon=500, seed=7).update(values[:50]).reset()
    monitor.update([1 / 81] * 20 if alarmed else values[50:120])
    monitor.save(tmp_path / "monitor.safetensors")
    loaded, copied = DriftMonitor.load(tmp_path / "monitor.safetensors"), copy.deepcopy(monitor)
    assert loaded.alarm == copied.alarm == alarmed
    assert loaded.threshold == monitor.threshold
    for other in (loaded, copied):
        assert same(other, monitor)
    monitor.update(values[120:])
    for other in (loaded, copied):
        assert not same(other, monitor)
        assert same(other.update(values[120:]), monitor)


def test_a_file_of_another_kind_is_refused(tmp_path):
    random = np.random.default_rng(0)
    ETFDetector().fit(random.standard_normal((20, 3)), ["a", "b"] * 10).save(tmp_path / "detector")
    with pytest.raises(InputError, match="holds a 'detector-ETFDetector', but a 'drift-monitor' was expected"):
        DriftMonitor.load(tmp_path / "detector")


def test_threads_take_turns_and_lose_no_image():
    class Slow(DriftMonitor):
        inside, most = 0, 0

        def _bet(self, rank):
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.001)
            super()._bet(rank)
            self.inside -= 1

    monitor = Slow(50)
    values = np.random.default_rng(0).integers(1, 52, size=20) / 51
    threads = [threading.Thread(target=lambda: [monitor.update(value) for value in values]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrays, header = monitor.state()
    assert monitor.most == 1
    assert monitor.seen == header["drawn"] == arrays["counts"].sum() == 80


def test_for_detector_takes_the_number_of_calibration_images():
    random = np.random.default_rng(0)
    detector = ETFDetector().fit(random.standard_normal((40, 5)) + 9 * np.repeat(np.eye(5)[:2], 20, 0), [0, 1] * 20)
    with pytest.raises(InputError, match="this ETFDetector is not calibrated, .* call calibrate"):
        DriftMonitor.for_detector(detector)
    with pytest.raises(InputError, match="this ETFDetector is not calibrated"):
        DriftMonitor.for_detector(ETFDetector())
    detector.calibrate(random.standard_normal((60, 5)))
    monitor = DriftMonitor.for_detector(detector, false_alarm_rate=0.2, horizon=100, seed=3)
    settings = monitor.state()[1]["settings"]
    assert settings == {"calibration_size": 60, "false_alarm_rate": 0.2, "horizon": 100, "seed": 3}
    assert monitor.update(detector.p_values(random.standard_normal((7, 5)))).seen == 7


def test_tensors_float32_and_rounded_p_values_count_as_the_exact_ones():
    import torch

    values = np.random.default_rng(1).integers(1, 1002, size=300) / 1001
    exact = DriftMonitor(1000).update(values)
    for kind in (torch.from_numpy(values), values.astype(np.float32), values.round(4), values.tolist()):
        assert same(DriftMonitor(1000).update(kind), exact)
    assert same(DriftMonitor(1000).update(1), DriftMonitor(1000).update([1.0]))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (float("nan"), r"above 0 and up to 1, but nan came \(1 of 1\)"),
        ([0.5, 0.0, -1.0], r"but 0 came \(2 of 3\); pass detector.p_values\(X\), not scores"),
        ([0.5, 1.01], r"but 1.01 came \(1 of 2\)"),
        ([0.5, 0.001], r"p-values of 9 calibration images are multiples of 1/10, but 0.001 came; is calibration_size"),
        ([0.5, 1 / 7], "multiples of 1/10, but 0.142857 came; is calibration_size right?"),
        ([[0.5]], r"one number or one an image, but shape \(1, 1\) of type float64 came"),
        (["0.5"], "one number or one an image, but shape .* came; pass detector.p_values"),
        (None, "one number or one an image, but shape .* of type object came"),
    ],
)
def test_bad_p_values_are_told_in_one_line_and_change_nothing(values, words):
    monitor = DriftMonitor(9).update([0.5, 0.7])
    before = copy.deepcopy(monitor)
    with pytest.raises(InputError, match=words) as caught:
        monitor.update(values)
    assert "\n" not in str(caught.value)
    assert same(monitor, before)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"calibration_size": 0}, "calibration_size must be a whole number of 1 or more, but 0 came"),
        ({"calibration_size": 10.0}, "calibration_size must be a whole number of 1 or more, but 10.0 came"),
        ({"horizon": 0}, "horizon must be a whole number of 1 or more, but 0 came"),
        ({"seed": -1}, "seed must be a whole number of 0 or more, but -1 came"),
        ({"seed": None}, "seed must be a whole number of 0 or more, but None came"),
        *(
            ({"false_alarm_rate": rate}, f"probability between 0 and 1, but {rate} came; write 0.05 for 5 %")
            for rate in (0, 1, 5, float("nan"))
        ),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        DriftMonitor(**{"calibration_size": 10, **settings})
