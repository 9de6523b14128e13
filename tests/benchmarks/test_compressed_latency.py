import json
from pathlib import Path

import pytest

from ncapps import config
from ncapps.benchmarks.compressed_latency import DENSE, LatencySettings, measure_compressed_latency
from ncapps.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PRUNED = ("pruned by loss", "pruned by uniform")
ARMS = {f"{name} {bits}" for name in ("dense", *PRUNED) for bits in ("float32", "int8")}


def test_all_networks_are_timed_at_each_batch():
    pytest.importorskip("compression_onnx")
    settings = LatencySettings(
        output="", model_kwargs={"channels": (8, 16, 16, 32)}, image_size=32, images=8, batches=(1, 3), runs=(4, 2),
        warmup=1, threads=1, macs=0.9,
    )  # fmt: skip
    found = measure_compressed_latency(settings)
    assert json.loads(json.dumps(found)) is not None
    assert tuple(found["macs_ratio"]) == PRUNED
    assert all(0.8 < ratio <= 0.9 for ratio in found["macs_ratio"].values())
    assert [(row["batch"], row["runs"]) for row in found["latency"]] == [(1, 4), (3, 2)]
    for row in found["latency"]:
        assert set(row["arms"]) == ARMS
        dense = row["arms"][DENSE]
        assert dense["speed_up"] == dense["speed_up_by_p50"] == dense["speed_up_by_least"] == 1.0
        for one in row["arms"].values():
            assert one["least_ms"] <= one["p50_ms"] <= one["p95_ms"]
            assert one["images_per_second"] == pytest.approx(1e3 * row["batch"] / one["p50_ms"])
    networks = found["networks"]
    for name in PRUNED:
        assert networks["dense int8"]["bytes"] < networks[f"{name} float32"]["bytes"] < networks[DENSE]["bytes"]
        assert networks[f"{name} int8"]["macs"] == round(found["macs_ratio"][name] * networks[DENSE]["macs"])


def test_mistakes_and_the_config():
    with pytest.raises(InputError, match=r"each of the batches has its runs, but \(1, 32\) and \(5,\) came"):
        LatencySettings(output="", runs=(5,))
    with pytest.raises(InputError, match="each of the batches has its runs"):
        LatencySettings(output="", batches=(0,), runs=(5,))
    settings = config.load(LatencySettings, ROOT / "configs/compress/latency.yaml")
    assert (settings.name, settings.image_size, settings.batches) == ("resnet18", 224, (1, 32))
