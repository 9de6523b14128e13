"""One network at work: draws of new classes, and their table; on made-up features, without a network."""

from dataclasses import replace

import numpy as np
import pytest

from ncapps.benchmarks.compressed_jobs_results import jobs_table, rank_row, sets_table
from ncapps.benchmarks.compressed_jobs_run import JobFeatures, draw_new_classes, run_jobs
from ncapps.benchmarks.compressed_jobs_settings import NewClassesSettings
from ncapps.benchmarks.ood_data import TaskFeatures
from ncapps.benchmarks.ood_settings import KnownSettings, NetworkSettings, OODSettings, TaskSettings, UnknownSettings
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, Features
from ncapps.features.class_head import ClassHead
from ncapps.transfer.estimate import Estimate

NEW = NewClassesSettings(shots="", classes=2, each=3, draws=4, most_asked=6)
PLACES = {name: place for place, name in enumerate(("ape", "bee", "cow", "eel", "fox", "gnu", "strange"))}


def made(names, each, spread, seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(names, each)
    values = 3 * np.eye(8)[[PLACES[name] for name in labels]] + spread * rng.normal(size=(len(labels), 8))
    return Features(values=values.astype(np.float32), keys=tuple(map(str, range(len(labels)))), labels=labels)


def world(spread=0.5, seed=0):
    known, new = ["ape", "bee", "cow"], ["ape", "eel", "fox", "gnu"]
    parts = {name: made(known, 20, spread, seed + i) for i, name in enumerate(("fit", "validation", "report"))}
    task = TaskFeatures(
        **parts, unknown={"odd": made(["strange"], 30, spread, seed + 5)}, groups={"odd": "near"},
        head=ClassHead(np.eye(8)[:3], np.zeros(3)), provenance={},
    )  # fmt: skip
    return JobFeatures(task=task, shots=made(new, 9, spread, seed + 6), asked=made(new, 7, spread, seed + 7))


def ood():
    network = NetworkSettings(name="n", spec=BackboneSpec(name="cifar_resnet20", checkpoint="x"))
    unknown = UnknownSettings(name="odd", group="near", images="o")
    task = TaskSettings(name="t", networks=[network], known=KnownSettings(fit="f"), unknown=[unknown])
    return OODSettings(tasks=[task], detectors=["etf"], resamples=50)


def test_draws_depend_on_labels_and_seed_alone_and_share_no_image():
    one, two = world(seed=0), world(spread=2.0, seed=50)
    for first, second in zip(draw_new_classes(one, NEW, 3), draw_new_classes(two, NEW, 3), strict=True):
        assert first.new == second.new
        assert np.array_equal(first.asked, second.asked)
        assert "ape" not in first.new, "a class that the network knows is not new"
        used = np.concatenate([first.fitted, first.asked, *first.shots.values()])
        assert len(set(used.tolist())) == len(used)
        assert [len(rows) for rows in first.shots.values()] == [3, 3]
        # Three known and two new classes, six questions each.
        assert len(first.asked) == 30
    assert len({draw.new for draw in draw_new_classes(one, NEW, 3)}) > 1
    other = next(draw_new_classes(one, NEW, 4))
    assert not np.array_equal(other.asked, next(draw_new_classes(one, NEW, 3)).asked)


def test_rows_count_through_all_parts():
    features = world()
    labels = np.concatenate(
        [part.labels for part in (features.task.fit, features.task.report, features.shots, features.asked)]
    )
    draw = next(draw_new_classes(features, NEW, 0))
    assert np.unique(labels[draw.asked]).tolist() == sorted((*draw.base, *draw.new))
    for name, rows in draw.shots.items():
        assert set(labels[rows]) == {name}
        assert rows.min() >= 120
    assert draw.asked[labels[draw.asked] == draw.new[0]].min() >= 120 + 36
    same = replace(features, asked=features.shots)
    draw = next(draw_new_classes(same, NEW, 0))
    assert not set(draw.asked.tolist()) & set(np.concatenate([*draw.shots.values()]).tolist())
    assert draw.asked.max() < 120 + 36


@pytest.mark.parametrize(("changes", "words"), [({"classes": 4}, "hold 3"), ({"each": 10}, "too few images")])
def test_too_few_new_classes_or_images_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        next(draw_new_classes(world(), replace(NEW, **changes), 0))


def test_clear_classes_are_all_named_and_noise_costs():
    clear, blurred = (run_jobs(world(spread), NEW, ood()) for spread in (0.1, 1.5))
    assert clear.right.tolist() == [1.0] * 60
    assert {name: values.tolist() for name, values in clear.few_shot.items()} == {
        name: [1.0] * 4 for name in ("base", "new", "harmonic")
    }
    assert sets_table(clear) == {"etf": {"odd": 1.0}}
    table = {row["figure"]: row for row in jobs_table(clear, [blurred, blurred], 0.95)}
    assert list(table) == ["accuracy", "few-shot harmonic", "few-shot base", "few-shot new", "AUROC near, etf"]
    for name, row in table.items():
        value, low, high = row["difference"]
        assert row["dense"] == 1.0, name
        assert low <= value <= high < 0, name
        assert row["each"] == [row["small"]] * 2
    assert table["accuracy"]["small"] == blurred.right.mean()


def test_without_the_networks_classes_there_is_no_accuracy():
    features = world()
    with pytest.raises(InputError, match="head must have the classes"):
        run_jobs(replace(features, task=replace(features.task, head=None)), NEW, ood())
    with pytest.raises(InputError, match="new images need class names"):
        run_jobs(replace(features, shots=replace(features.shots, labels=None)), NEW, ood())


def test_the_rank_score_is_paired_draw_by_draw():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=20)
    dense = Estimate(replicates=0.5 + shared)
    row = rank_row(dense, [Estimate(replicates=0.4 + shared), Estimate(replicates=0.6 + shared)], 0.95)
    assert row["difference"] == pytest.approx([0, 0, 0], abs=1e-12)
    assert row["each"] == pytest.approx([dense.value - 0.1, dense.value + 0.1])
