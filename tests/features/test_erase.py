"""Erasing a class from a store: its rows go and nothing else, whole shards at a time, also after a crash."""

import numpy as np
import pytest

from ncapps import persist
from ncapps.errors import InputError
from ncapps.features import FeatureStore
from ncapps.features.array_source import ArraySource
from ncapps.features.records import Features, Skipped

NAMES = np.array(["cat", "dog", "cat", "owl", "dog", "dog", "cat", "owl", "owl", "dog"])
KEYS = tuple(f"{row:02d}" for row in range(len(NAMES)))
SHARD = 4


def filled(folder, labels=NAMES, logits=True):
    """Return a store of ten images, of which the last one could not be read."""
    store = FeatureStore(folder, shard_size=SHARD)
    store.begin({"network": "none"}, ArraySource(np.zeros((len(NAMES), 2, 2, 3), np.uint8)))
    values = np.arange(3.0 * len(NAMES), dtype=np.float32).reshape(-1, 3)
    for shard in store.share():
        rows = [row for row in store.positions(shard) if row != 9]
        store.write(
            shard,
            Features(
                values=values[rows],
                keys=tuple(KEYS[row] for row in rows),
                logits=-values[rows] if logits else None,
                labels=None if labels is None else labels[rows],
                skipped=(Skipped(key=KEYS[9], reason="truncated"),) if shard == 2 else (),
            ),
        )
    return store, values


@pytest.mark.parametrize("logits", [True, False])
def test_the_rows_of_the_class_go_and_all_others_stay_bit_for_bit(tmp_path, logits):
    store, values = filled(tmp_path, logits=logits)
    before = [path.read_bytes() for path in sorted(tmp_path.glob("*.safetensors"))]
    assert store.erase_class("cat") == 3
    kept = [row for row in range(9) if NAMES[row] != "cat"]
    left = FeatureStore(tmp_path).read()
    assert np.array_equal(left.values, values[kept])
    assert left.keys == tuple(KEYS[row] for row in kept)
    assert left.labels.tolist() == NAMES[kept].tolist()
    assert (left.logits is None) if not logits else np.array_equal(left.logits, -values[kept])
    told = {skip.key: skip.reason for skip in left.skipped}
    assert told == {**dict.fromkeys(("00", "02", "06"), "erased with class 'cat'"), "09": "truncated"}
    # The third shard has no cat.
    after = [path.read_bytes() for path in sorted(tmp_path.glob("*.safetensors"))]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]
    assert all(values[0].tobytes() not in data for data in after)
    assert store.missing() == []


def test_a_class_that_is_not_there_costs_nothing_and_a_second_time_finds_nothing(tmp_path):
    store, _ = filled(tmp_path)
    stamps = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    assert store.erase_class("kiwi") == 0
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == stamps
    assert (store.erase_class("owl"), store.erase_class("owl")) == (3, 0)


@pytest.mark.parametrize("fatal", range(1, 5))
def test_a_crash_in_the_middle_leaves_whole_shards_and_the_next_run_finishes(tmp_path, monkeypatch, fatal):
    store, values = filled(tmp_path)
    calls, write = [], persist.write_atomically

    def crash(path, fill):
        calls.append(path)
        if len(calls) == fatal:
            temporary = path.with_name(f".{path.name}.killed.tmp")
            fill(temporary)
            temporary.write_bytes(temporary.read_bytes()[:7])
            raise KeyboardInterrupt
        write(path, fill)

    # Two shards hold a cat: a ledger and the features of each are written.
    monkeypatch.setattr(persist, "write_atomically", crash)
    with pytest.raises(KeyboardInterrupt):
        store.erase_class("cat")
    monkeypatch.undo()
    assert list(tmp_path.glob(".*.tmp"))
    between = FeatureStore(tmp_path).read()
    gone = {1: 0, 2: 0, 3: 2, 4: 2}[fatal]
    assert len(between) == 9 - gone
    assert np.array_equal(between.values, values[[int(key) for key in between.keys]])
    assert store.erase_class("cat") == 3 - gone
    left = FeatureStore(tmp_path).read()
    assert sorted(skip.key for skip in left.skipped) == ["00", "02", "06", "09"]
    assert "cat" not in left.labels
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_whole_shard_may_go(tmp_path):
    labels = np.array(["cat"] * 4 + ["dog"] * 6)
    store, values = filled(tmp_path, labels)
    assert store.erase_class("cat") == 4
    left = FeatureStore(tmp_path).read()
    assert np.array_equal(left.values, values[4:9])
    assert set(left.labels) == {"dog"}


def test_errors_name_the_cause(tmp_path):
    with pytest.raises(InputError, match="holds no features"):
        FeatureStore(tmp_path / "nothing").erase_class("cat")
    store, _ = filled(tmp_path / "named")
    with pytest.raises(InputError, match="mixed type"):
        store.erase_class(3)
    bare, _ = filled(tmp_path / "bare", labels=None)
    with pytest.raises(InputError, match="have no class names, so 'cat' can't be erased"):
        bare.erase_class("cat")
