"""The store's laws: one identity, whole shards, and going on where a killed process stopped."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from ncapps.errors import InputError
from ncapps.features import Backbone, FeatureExtractor, FeatureStore, Preprocessing
from ncapps.features.passes import Pass

LABELS = [f"class {number % 3}" for number in range(10)]


def images(count=10, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return Backbone("cifar_resnet20", pretrained=False)


@pytest.fixture
def extractor(backbone):
    return FeatureExtractor(backbone, device="cpu", precision="float32", progress=False)


def test_what_comes_back_is_what_went_in(extractor, tmp_path):
    plain = extractor.extract(images(), LABELS)
    stored = extractor.extract(images(), LABELS, store=FeatureStore(tmp_path / "s", shard_size=4))
    again = FeatureStore(tmp_path / "s").read()
    for features in (stored, again):
        np.testing.assert_allclose(features.values, plain.values, atol=1e-5)
        np.testing.assert_allclose(features.logits, plain.logits, atol=1e-5)
        assert features.keys == plain.keys
        assert features.labels.tolist() == plain.labels.tolist()
    assert [len(part) for part in FeatureStore(tmp_path / "s").shards()] == [4, 4, 2]
    assert (tmp_path / "s" / "images.txt").read_text().split() == list(plain.keys)


def test_shards_that_are_there_are_not_computed_again(extractor, tmp_path, monkeypatch):
    store = FeatureStore(tmp_path, shard_size=4)
    extractor.extract(images(), store=store)
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    (tmp_path / "shard-00001.safetensors").unlink()
    done = []
    original = Pass.part
    monkeypatch.setattr(Pass, "part", lambda self, positions: done.append(positions) or original(self, positions))
    assert len(extractor.extract(images(), store=tmp_path)) == 10
    assert done == [range(4, 8)]
    kept = ("shard-00000.safetensors", "shard-00002.safetensors")
    assert all((tmp_path / name).stat().st_mtime_ns == stamps[name] for name in kept)


def test_workers_share_the_shards(extractor, tmp_path):
    store = FeatureStore(tmp_path, shard_size=2)
    share = extractor.extract(images(), LABELS, store=store, worker=1, of_workers=2)
    assert share.keys == ("000002", "000003", "000006", "000007")
    with pytest.raises(InputError, match="3 of 5 shards are missing .* the first is 0; run the extraction again"):
        store.read()
    extractor.extract(images(), LABELS, store=store, worker=0, of_workers=2)
    np.testing.assert_allclose(store.read().values, extractor.extract(images()).values, atol=1e-5)
    with pytest.raises(InputError, match="worker 2 of 2 came"):
        extractor.extract(images(), LABELS, store=store, worker=2, of_workers=2)


def test_identities_are_never_mixed(extractor, backbone, tmp_path):
    extractor.extract(images(), LABELS, store=tmp_path)

    def refuses(other, match, data=None, labels=LABELS):
        with pytest.raises(InputError, match=match):
            other.extract(images() if data is None else data, labels, store=tmp_path)

    settings = {"device": "cpu", "precision": "float32"}
    refuses(extractor, "features of another images", data=images(seed=1))
    refuses(extractor, "features of another images", labels=LABELS[::-1])
    refuses(FeatureExtractor(backbone, device="cpu", precision="bfloat16"), 'another precision \\("float32", now "bfl')
    whole = Backbone(backbone.model, preprocessing=Preprocessing(size=(32, 32), crop_pct=0.9))
    whole.tag = backbone.tag
    refuses(FeatureExtractor(whole, **settings), "another preprocessing")
    torch.manual_seed(1)
    twin = Backbone("cifar_resnet20", pretrained=False)
    refuses(FeatureExtractor(twin, **settings), "another weights .*name another folder, or delete")
    twin.tag = "cifar_resnet99"
    refuses(FeatureExtractor(twin, **settings), 'another model \\("cifar_resnet20", now "cifar_resnet99"\\)')


def test_the_ledger_is_kept_beside_its_shard(extractor, photos, tmp_path):
    (photos / "cat" / "0.png").write_bytes(b"")
    for path in (photos / "dog").iterdir():
        path.write_bytes(b"junk")
    store = FeatureStore(tmp_path / "s", shard_size=3)
    features = extractor.extract(photos, store=store)
    assert len(features) == 2
    assert len(features.skipped) == 4
    assert store.read().skipped == features.skipped
    lines = (tmp_path / "s" / "shard-00000.skipped.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["key"] == "cat/0.png"
    assert [len(part) for part in store.shards()] == [2, 0]


def test_foreign_and_damaged_files_are_named(extractor, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no features"):
        extractor.extract(images(), store=tmp_path)
    with pytest.raises(InputError, match=r"holds no features \(no manifest.json\)"):
        FeatureStore(tmp_path / "absent").read()
    first, second = FeatureStore(tmp_path / "a", shard_size=5), FeatureStore(tmp_path / "b", shard_size=5)
    extractor.extract(images(), store=first)
    extractor.extract(images(seed=1), store=second)
    name = "shard-00001.safetensors"
    (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    with pytest.raises(InputError, match="shard-00001.safetensors belongs to another store"):
        first.read()
    (tmp_path / "b" / name).write_bytes(b"\0" * 20)
    with pytest.raises(InputError, match="damaged"):
        second.read()
    (tmp_path / "b" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        second.read()
    with pytest.raises(InputError, match="shard_size must be 1"):
        FeatureStore(tmp_path, shard_size=0)


KILLED = """
import sys, time
import numpy as np, torch
from ncapps.features import Backbone, FeatureExtractor, FeatureStore
from ncapps.features.runtime import Runtime
torch.manual_seed(0)
torch.set_num_threads(1)
original = Runtime.features
def slowly(self, pixels):
    time.sleep(0.2)
    return original(self, pixels)
Runtime.features = slowly
data = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
extractor = FeatureExtractor(Backbone("cifar_resnet20", pretrained=False), device="cpu", precision="float32")
extractor.extract(data, store=FeatureStore(sys.argv[1], shard_size=2))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_process_loses_at_most_one_shard(extractor, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("shard-*.safetensors"))) < 3 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    store = FeatureStore(tmp_path)
    there = {path.name for path in tmp_path.glob("shard-*.safetensors")}
    assert 3 <= len(there) < 20
    assert len(store.missing()) == 20 - len(there)
    (tmp_path / ".shard-00019.safetensors.x.tmp").write_bytes(b"half a shard")
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in there}
    features = extractor.extract(images(40), store=tmp_path)
    assert all((tmp_path / name).stat().st_mtime_ns == stamp for name, stamp in before.items())
    assert not list(tmp_path.glob(".*.tmp"))
    np.testing.assert_allclose(features.values, extractor.extract(images(40)).values, atol=1e-5)
