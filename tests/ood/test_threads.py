"""Fifty threads score while the threshold moves and a class comes and goes: every answer is one of a whole state."""

import itertools
import threading

import numpy as np
import pytest

from ncapps.ood import DETECTORS

THREADS, ROUNDS, RATES = 50, 12, (0.05, 0.3)
ANSWERS = ("score_samples", "predict", "p_values", "nearest_class")


def calibrated(name, per_class):
    random = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c", "d"], 100)
    centers = 4 * random.standard_normal((5, 10))
    X = np.repeat(centers[:4], 100, axis=0) + random.standard_normal((400, 10))
    queries = np.concatenate([X[::9] + 0.1, centers[4] + 2 * random.standard_normal((40, 10))])
    detector = DETECTORS[name]().fit(X[::2], y[::2]).calibrate(X[1::2], RATES[0], per_class=per_class)
    return detector, queries, centers[4] + random.standard_normal((5, 10))


def answers_of_every_state(detector, queries, kiwis):
    """Return, for each question, the bytes of the answers that a state in whole can give."""
    allowed = {name: set() for name in ANSWERS}
    for grown, rate in itertools.product((False, True), RATES):
        if grown and not detector.per_class:
            continue
        if grown:
            detector.add_class("kiwi", kiwis)
        detector.set_reject_rate(rate)
        for name in ANSWERS:
            allowed[name].add(getattr(detector, name)(queries).tobytes())
        if grown:
            detector.remove_class("kiwi")
    return allowed


def ask(detector, queries, allowed, begin, stop, faults, seen):
    begin.wait()
    for turn in range(10**6):
        name = ANSWERS[turn % len(ANSWERS)]
        answer = getattr(detector, name)(queries).tobytes()
        if answer not in allowed[name]:
            faults.append(name)
        seen[name].add(answer)
        if stop.is_set() and turn >= ROUNDS:
            return


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("name", ["etf", "mds", "knn", "energy"])
def test_no_answer_is_torn(name, per_class):
    detector, queries, kiwis = calibrated(name, per_class)
    allowed = answers_of_every_state(detector, queries, kiwis)
    begin, stop, faults, seen = threading.Barrier(THREADS + 1), threading.Event(), [], {name: set() for name in ANSWERS}
    arguments = (detector, queries, allowed, begin, stop, faults, seen)
    threads = [threading.Thread(target=ask, args=arguments) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    begin.wait()
    for turn in range(10_000):
        # On a busy machine the changes may all be over before any thread has asked twice.
        if turn >= 60 and len(seen["predict"]) > 1:
            break
        detector.set_reject_rate(RATES[turn % 2])
        if detector.per_class:
            detector.add_class("kiwi", kiwis)
            detector.set_reject_rate(RATES[turn // 2 % 2])
            detector.remove_class("kiwi")
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults
    # The threads must have met more than one state, or nothing was tested.
    assert len(seen["predict"]) > 1


def test_a_file_written_meanwhile_holds_a_whole_state(tmp_path):
    detector, queries, kiwis = calibrated("knn", False)
    allowed = answers_of_every_state(detector, queries, kiwis)
    stop = threading.Event()

    def change():
        for turn in itertools.count():
            detector.add_class("kiwi", kiwis).set_reject_rate(RATES[turn % 2]).remove_class("kiwi")
            if stop.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(40):
            detector.save(tmp_path / "d")
            loaded = type(detector).load(tmp_path / "d")
            for name in ANSWERS:
                assert getattr(loaded, name)(queries).tobytes() in allowed[name]
            assert loaded.offset_ in {detector.decision_.at_rate(rate).offset for rate in RATES}
    finally:
        stop.set()
        thread.join()
