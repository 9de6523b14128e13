import numpy as np
import pytest
from blobs import blobs

from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.fewshot.dry_run import DryRun

IN_TIME = [name for name in METRICS if name != "ranpac"]


class World:
    """Gaussian classes; the first are known, the others new."""

    def __init__(self, known=24, new=16, width=24, apart=0.55, seed=0):
        self.random = np.random.default_rng(seed)
        self.means = apart * self.random.standard_normal((known + new, width))
        self.new = range(known, known + new)
        self.X = np.concatenate([self.draw(name, 40) for name in range(known)])
        self.y = np.repeat(np.arange(known), 40)

    def draw(self, name, count):
        return self.means[name] + self.random.standard_normal((count, self.means.shape[1]))

    def foretold_and_found(self, classifier, shots, **options):
        """Return (expected, actual) accuracies of the new classes, shape (new classes, 2), and the dry runs."""
        rows, runs = [], []
        for name in self.new:
            few, queries = self.draw(name, shots), self.draw(name, 150)
            runs.append(classifier.add_class(999, few, dry_run=True, **options))
            actual = np.mean(classifier.add_class(999, few).predict(queries) == 999)
            classifier.remove_class(999)
            rows.append((runs[-1].expected_accuracy, actual))
        return np.array(rows), runs


@pytest.mark.parametrize("shots", [1, 2, 5])
@pytest.mark.parametrize("metric", IN_TIME)
def test_the_accuracy_foretold_is_that_of_new_classes_on_average(metric, shots):
    world = World()
    found, runs = world.foretold_and_found(PrototypeClassifier(metric=metric).fit(world.X, world.y), shots)
    assert runs[0].rehearsed
    # Four standard errors of sixteen classes and a few points of bias: visible classes are fewer in the rehearsal.
    assert abs(np.diff(found, axis=1).mean()) < 0.06 + 4 * np.diff(found, axis=1).std() / 4 / 2


@pytest.mark.parametrize("metric", ["plda", "cosine", "ridge"])
def test_without_a_rehearsal_one_is_simulated_from_the_statistics(metric):
    world = World()
    classifier = PrototypeClassifier(metric=metric, knobs={}, temperature=1.0).fit(world.X, world.y)
    found, runs = world.foretold_and_found(classifier, 5)
    assert not runs[0].rehearsed
    assert abs(np.diff(found, axis=1).mean()) < 0.15


def test_the_images_that_are_said_to_be_needed_do():
    world = World(new=40)
    classifier = PrototypeClassifier(metric="euclidean").fit(world.X, world.y)
    reached, needed = [], []
    for name in world.new:
        few = world.draw(name, 3)
        run = classifier.add_class(999, few, dry_run=True, wanted_accuracy=0.6)
        if run.images_needed:
            needed.append(run.images_needed)
            more = np.concatenate([few, world.draw(name, run.images_needed)])
            reached.append(np.mean(classifier.add_class(999, more).predict(world.draw(name, 200)) == 999))
            classifier.remove_class(999)
            wanted = dict(run.accuracy_by_images)
            assert wanted[3 + run.images_needed] >= 0.6 > wanted[2 + run.images_needed]
    assert len(needed) >= 10
    assert np.mean(reached) == pytest.approx(0.6, abs=0.12)
    assert classifier.add_class(999, few, dry_run=True, wanted_accuracy=1e-9).images_needed == 0
    assert classifier.add_class(999, few, dry_run=True, wanted_accuracy=1 - 1e-12).images_needed is None


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_changes_and_a_second_time_tells_the_same(metric):
    X, y = blobs(classes=6)
    classifier = PrototypeClassifier(metric=metric, knobs={}, temperature=1.0).fit(X[:100], y[:100])
    classifier.add_class("ant", X[100:105] + 1)
    state, audit = classifier.state_hash(), classifier.audit_
    run = classifier.add_class("kiwi", X[110:115], dry_run=True)
    assert isinstance(run, DryRun)
    assert (classifier.state_hash(), classifier.audit_) == (state, audit)
    assert classifier.add_class("kiwi", X[110:115], dry_run=True) == run
    assert (run.name, run.images, len(run.agreement)) == ("kiwi", 5, 5)
    assert 0 <= run.expected_accuracy <= 1
    accuracies = [accuracy for _, accuracy in run.accuracy_by_images]
    assert accuracies == sorted(accuracies)


@pytest.mark.parametrize("metric", IN_TIME)
def test_the_image_of_another_class_is_found_where_classes_stand_apart(metric):
    world = World(apart=2.0)
    classifier = PrototypeClassifier(metric=metric).fit(world.X, world.y)
    found, alarms = [], []
    for name in world.new:
        few = world.draw(name, 5)
        run = classifier.add_class(999, few, dry_run=True)
        alarms.append(not run.consistent)
        assert run.odd_one_out is None or not run.consistent
        few[3] = world.draw(world.new[(name + 1) % len(world.new)], 1)[0]
        run = classifier.add_class(999, few, dry_run=True)
        found.append(run.odd_one_out == 3)
        assert run.agreement[3] == min(run.agreement)
    assert np.mean(found) >= 0.75
    assert np.mean(alarms) <= 0.25


@pytest.mark.parametrize("metric", IN_TIME)
def test_the_known_class_that_it_collides_with_comes_first(metric):
    world = World(apart=1.2)
    classifier = PrototypeClassifier(metric=metric).fit(world.X, world.y)
    hits = 0
    for known in range(10):
        twin = world.means[known] + world.random.standard_normal((5, 24)) + 0.1
        run = classifier.add_class(999, twin, dry_run=True)
        hits += run.collisions[0].name == known
        shares = [collision.share for collision in run.collisions]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 - run.expected_accuracy + 1e-9
        assert len(run.collisions) == 5
    assert hits >= 9


def test_a_likelier_class_is_expected_to_be_named_more_often():
    world = World()
    accuracy = {}
    few = world.draw(world.new[0], 5)
    for weight in (0.01, 1.0, 100.0):
        classifier = PrototypeClassifier(priors={999: weight}).fit(world.X, world.y)
        accuracy[weight] = classifier.add_class(999, few, dry_run=True).expected_accuracy
    assert accuracy[0.01] < accuracy[1.0] < accuracy[100.0]


def test_a_single_image_can_disagree_with_nothing():
    X, y = blobs()
    classifier = PrototypeClassifier().fit(X, y)
    run = classifier.add_class("kiwi", X[:1] + 3, dry_run=True)
    assert (run.agreement, run.consistent, run.odd_one_out) == ((0.0,), True, None)


def test_errors_name_the_cause():
    X, y = blobs()
    classifier = PrototypeClassifier(knobs={}, temperature=1.0).fit(X, y)
    with pytest.raises(InputError, match="the wanted accuracy lies between 0 and 1, but 90 came"):
        classifier.add_class("kiwi", X[:3], dry_run=True, wanted_accuracy=90)
    with pytest.raises(InputError, match="is there already"):
        classifier.add_class("class 1", X[:3], dry_run=True)
    with pytest.raises(InputError, match="came without an image"):
        classifier.add_class("kiwi", X[:0], dry_run=True)
    singles = PrototypeClassifier(knobs={}, temperature=1.0).fit(X[::20], y[::20])
    with pytest.raises(InputError, match="needs two fitted classes or more, and one with two images"):
        singles.add_class("kiwi", X[:3], dry_run=True)
