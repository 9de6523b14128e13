from dataclasses import asdict

import compression_onnx
import numpy as np
import pytest
import torch

from ncapps.compression import OnnxModel, load_quantized, quantize
from ncapps.compression.quantized import Quantized
from ncapps.errors import InputError


@pytest.fixture(scope="module")
def fast() -> Quantized:
    _, images, exported = compression_onnx.convolutional()
    return quantize(exported, images, keep="always", max_drop=None)


def test_outputs_are_the_models_to_8_bits(fast):
    model, images, _ = compression_onnx.convolutional()
    with torch.no_grad():
        expected = model(images)
    assert fast.report.kind == "int8"
    assert fast.report.layers_in_float32 == ()
    assert 0 < (fast(images) - expected).norm() < 0.05 * expected.norm()
    assert isinstance(fast(images.numpy()), np.ndarray)


def test_the_report_counts_what_can_be_counted(fast):
    _, images, exported = compression_onnx.convolutional()
    report = fast.report
    assert report.images == 48
    assert report.drop.images == len(images) - 48
    assert report.bytes_before == len(exported.data) > report.bytes_after == len(fast.model.data)
    assert set(report.latency_ms) == {"float32", "int8"}
    assert report.threads == 1
    assert report.method == "static"


def test_saved_and_loaded_it_gives_the_same_outputs_and_report(fast, tmp_path):
    _, images, _ = compression_onnx.convolutional()
    fast.save(tmp_path / "fast.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["fast.onnx"]
    again = load_quantized(tmp_path / "fast.onnx", threads=1)
    assert torch.equal(again(images), fast(images))
    assert again.report == fast.report


def test_a_plain_onnx_file_and_a_newer_one_are_refused(fast, tmp_path):
    compression_onnx.convolutional()[2].save(tmp_path / "plain.onnx")
    with pytest.raises(InputError, match="is an ONNX network, but not one that quantize saved"):
        load_quantized(tmp_path / "plain.onnx")
    header = {"kind": "quantized", "version": 99, "report": asdict(fast.report)}
    fast.model.with_header(header).save(tmp_path / "new.onnx")
    with pytest.raises(InputError, match="written in version 99, this ncapps reads 1; upgrade"):
        load_quantized(tmp_path / "new.onnx")
    del header["report"]["drop"]
    fast.model.with_header(header | {"version": 1}).save(tmp_path / "odd.onnx")
    with pytest.raises(InputError, match="its report lacks or misnames a field"):
        load_quantized(tmp_path / "odd.onnx")


def test_8_bits_that_do_not_pay_are_not_kept(monkeypatch):
    _, images, exported = compression_onnx.convolutional()
    monkeypatch.setattr("ncapps.compression.quantizer.measure_latency", _timed(int8=2.0, float32=1.0))
    slow = quantize(exported, images)
    assert slow.report.kind == "float32"
    assert slow.report.reason == "8 bits are not faster here: 0.50 times the speed of float32"
    assert slow.report.layers_in_float32 == slow.report.layers
    assert slow.report.drop.changed == 0
    assert torch.equal(slow(images), exported(images))
    small = quantize(exported, images, keep="smaller")
    assert small.report.kind == "int8"
    monkeypatch.setattr("ncapps.compression.quantizer.measure_latency", _timed(int8=1.0, float32=2.0))
    assert quantize(exported, images).report.kind == "int8"


def _timed(**times):
    from ncapps.compression.latency import Latency

    return lambda arms, runs: {name: Latency(times_ms=(times[name],) * runs) for name in arms}


def test_a_drop_out_of_bounds_goes_back_to_float32_layer_by_layer(monkeypatch):
    """Labels that only the float32 network gets right, but for one layer that may stay in 8 bits."""
    from ncapps.compression import int8_trial

    _, images, exported = compression_onnx.convolutional()
    real = int8_trial.measure_drop

    def strict(expected, got, labels):
        # Answers count as changed as soon as the outputs move by more than 0.4 %.
        moved = np.linalg.norm(got - expected) > 0.004 * np.linalg.norm(expected)
        return real(expected, np.roll(expected, 1, axis=1) if moved else expected, labels)

    monkeypatch.setattr(int8_trial, "measure_drop", strict)
    found = quantize(exported, images, keep="always")
    assert found.report.kind == "int8"
    assert 0 < len(found.report.layers_in_float32) < len(found.report.layers)
    assert found.report.drop.points == 0
    monkeypatch.setattr(int8_trial, "measure_drop", lambda a, b, c: real(a, np.roll(a, 1, axis=1), c))
    none = quantize(exported, images, keep="always")
    assert none.report.kind == "float32"
    assert "more than max_drop is lost" in none.report.reason
    assert none.report.latency_ms == {}


def test_labels_and_held_out_images_are_used():
    _, images, exported = compression_onnx.convolutional()
    labels = exported(images).argmax(dim=1)
    report = quantize(exported, images[:32], held_out=(images[32:], labels[32:]), keep="always").report
    assert (report.images, report.drop.images, report.drop.accuracy_before) == (32, 64, 1.0)
    report = quantize(exported, images, labels, calibration=16, keep="always").report
    assert (report.images, report.drop.images, report.drop.accuracy_before) == (16, 80, 1.0)


def test_a_network_is_exported_first_and_a_pruned_one_too():
    from ncapps.compression import compress

    model, images, _ = compression_onnx.convolutional()
    small = compress(model, images, macs=0.6, progress=False)
    fast = quantize(small.model, images, keep="always", max_drop=None, threads=1)
    with torch.no_grad():
        expected = small.model(images)
    assert (fast(images) - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_drop": -1.0}, "max_drop is in percentage points, 0 to 100, but -1.0 came"),
        ({"max_drop": float("nan")}, "but nan came"),
        ({"keep": "best"}, "keep must be one of faster, smaller, always, but 'best' came"),
        ({"method": "magic"}, "method must be one of auto, static, dynamic, but 'magic' came"),
        ({"latency_batch": 0}, "latency_batch must be 1 or more, but 256 and 0 came"),
        ({"calibration": 0}, "latency_batch must be 1 or more, but 0 and 1 came"),
        ({"labels": [7] * 96}, "indices of the network's 5 outputs, 0 to 4, but 7 to 7 came"),
        ({"images": torch.zeros(3, 3, 16, 16)}, "4 images or more are needed .* but 3 came"),
        ({"images": torch.zeros(0, 3, 16, 16)}, "there are no images"),
        ({"labels": ["cat"] * 96}, "labels must be the network's output indices"),
        ({"sure": True}, "48 held-out images cannot show a drop of 1.0 points or less at 95 %; 381 or more can"),
        ({"model": "resnet18"}, r"an exported one \(OnnxModel\), but str came"),
    ],
)
def test_mistakes_get_one_clear_line(change, words):
    _, images, exported = compression_onnx.convolutional()
    arguments = {"model": exported, "images": images} | change
    with pytest.raises(InputError, match=words) as caught:
        quantize(arguments.pop("model"), arguments.pop("images"), **arguments)
    assert "\n" not in str(caught.value)


def test_threads_are_the_exported_networks_or_those_asked_for():
    _, images, exported = compression_onnx.convolutional()
    assert quantize(exported, images, max_drop=None).model.threads == exported.threads == 1
    assert quantize(exported, images, max_drop=None, threads=2).model.threads == 2


def test_the_public_door_has_it():
    import ncapps

    assert ncapps.quantize is quantize
    assert OnnxModel.__name__ == "OnnxModel"
