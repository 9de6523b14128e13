"""The benchmark of the few-shot classifier measures what it says, on sizes that take no time."""

import pytest

from ncapps.benchmarks import fewshot_speed
from ncapps.benchmarks.fewshot_speed import FewShotSpeedSettings, grown, measure_fewshot_speed
from ncapps.errors import InputError

SMALL = {
    "classes": 20,
    "width": 16,
    "small_classes": 8,
    "small_width": 12,
    "repeats": 3,
    "singles": 4,
    "episodes": 6,
    "episode_classes": 6,
    "episode_images": 21,
    "rounds": 2,
}


def test_every_metric_and_both_kinds_of_episodes_are_timed():
    settings = FewShotSpeedSettings(**SMALL)
    result = measure_fewshot_speed(settings)
    for part in ("add_class", "remove_class", "predict_one"):
        assert list(result[part]) == list(settings.metrics)
        assert all(times["median"] >= times["minimum"] > 0 for times in result[part].values())
    assert list(result["episodes"]) == ["1", "5"]
    for times in result["episodes"].values():
        assert all(times[name]["median"] >= times[name]["minimum"] > 0 for name in ("euclidean", "cosine"))


@pytest.mark.parametrize("metric", ["euclidean", "ranpac"])
def test_the_classifier_that_is_timed_has_the_classes_it_should_and_a_share_of_them_added(metric):
    settings = FewShotSpeedSettings(late_share=0.25)
    classifier, draw = grown(metric, 20, 16, settings)
    assert (len(classifier.classes_), len(classifier.added_), draw(7).shape) == (20, 5, (7, 16))
    assert all(len(rows) == settings.shots for rows in classifier.added_.values())


def test_each_addition_meets_the_same_classes(monkeypatch):
    sizes = []
    add = fewshot_speed.PrototypeClassifier.add_class

    def counting(self, name, X):
        if name == "kiwi":
            sizes.append((len(self.classes_), len(X)))
        return add(self, name, X)

    monkeypatch.setattr(fewshot_speed.PrototypeClassifier, "add_class", counting)
    measure_fewshot_speed(FewShotSpeedSettings(**{**SMALL, "metrics": ("cosine",)}))
    assert sizes == [(20, 5)] * 3


def test_errors_name_the_cause():
    with pytest.raises(InputError, match="'nothing' is not known; choose from plda, "):
        FewShotSpeedSettings(metrics=("nothing",))
    with pytest.raises(InputError, match="late_share must be 0 or more and below 1, but 1 came"):
        FewShotSpeedSettings(late_share=1)
    with pytest.raises(InputError, match="repeats must be above 0, but 0 came"):
        FewShotSpeedSettings(repeats=0)
