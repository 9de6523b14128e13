"""The benchmark of the detectors measures what it says, on sizes that take no time."""

import numpy as np
import pytest

from ncapps.benchmarks import detector_speed
from ncapps.benchmarks.detector_speed import PRODUCTS, DetectorSpeedSettings, interleaved, measure_detector_speed
from ncapps.errors import InputError

SMALL = {
    "images": 600,
    "width": 12,
    "classes": 4,
    "large_images": 200,
    "large_width": 16,
    "large_classes": 9,
    "batch": 40,
    "loop_classes": 2,
    "singles": 5,
    "rounds": 3,
    "threads": 1,
}


def test_every_detector_is_timed_and_set_against_its_products():
    settings = DetectorSpeedSettings(**SMALL)
    result = measure_detector_speed(settings)
    for name in settings.detectors:
        batch, large = result["batch"][name], result["one_image_large"][name]
        assert 500 <= batch["images"] <= 600
        assert batch["images_per_second_at_best"] >= batch["images_per_second"] > 0
        assert result["one_image"][name]["median"] >= result["one_image"][name]["minimum"] > 0
        if name in PRODUCTS:
            # The rounds' ratios lie around that of the medians, however much the machine sways.
            assert 0.1 < large["ratio"] / (large["median"] / large["products_median"]) < 10
    loop = result["mds_against_loop"]
    assert (loop["batch"], loop["loop_timed_on_classes"], loop["loop_extrapolated_to_classes"]) == (40, 2, 9)
    assert loop["speed_up"] == pytest.approx(4.5 * loop["loop"]["median"] / loop["mds"]["median"])
    faiss = result["knn_against_faiss"]
    assert (faiss["bank"], faiss["batch"], faiss["k"]) == (600, 40, 50)
    assert faiss["speed_one"] == pytest.approx(faiss["faiss_one"]["median"] / faiss["knn_one"]["median"])


def test_a_slow_detector_scores_fewer_images(monkeypatch):
    counts = []
    score = detector_speed.MDS.score_samples
    monkeypatch.setattr(detector_speed.MDS, "score_samples", lambda self, X: counts.append(len(X)) or score(self, X))
    settings = DetectorSpeedSettings(**{**SMALL, "detectors": ("mds",), "seconds": 1e-9})
    assert measure_detector_speed(settings)["batch"]["mds"]["images"] == 500
    assert max(counts) == 500


def test_rounds_are_interleaved_and_no_arm_always_follows_the_same_other_one():
    calls = []
    arms = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in "abcdef"}
    times = interleaved(arms, 8)
    rounds = ["".join(calls[start : start + 6]) for start in range(0, 48, 6)]
    assert all(sorted(order) == list("abcdef") for order in rounds)
    assert len({order[order.index("b") - 1] for order in rounds if order[0] != "b"}) > 1
    own = [calls.index("a", start) + 1.0 for start in range(0, 48, 6)]
    assert times["a"] == {"seconds": own, "median": float(np.median(own)), "minimum": min(own)}


def test_the_features_come_from_the_seed():
    settings = DetectorSpeedSettings(**{**SMALL, "detectors": ("energy",)})
    one, other = (detector_speed._Arena(settings, 50, 6, 3) for _ in range(2))
    assert np.array_equal(one.features, other.features)
    assert (one.features.dtype, one.features.shape) == (np.float32, (50, 6))


def test_errors_name_the_cause():
    with pytest.raises(InputError, match="detector 'nothing' is not known; choose from etf, "):
        DetectorSpeedSettings(detectors=("nothing",))
    with pytest.raises(InputError, match="rounds must be above 0, but 0 came"):
        DetectorSpeedSettings(rounds=0)
