from argparse import Namespace

import pytest

from ncapps.commands.onnx_output import write_onnx


@pytest.mark.parametrize("int8", [False, True])
def test_lines_and_figures_tell_what_was_written(int8, tmp_path, monkeypatch):
    compression_onnx = pytest.importorskip("compression_onnx")
    model, images, _ = compression_onnx.convolutional()
    monkeypatch.setattr("ncapps.compression.quantizer.measure_latency", _as_slow)
    path = str(tmp_path / "net.onnx")
    figures, lines = write_onnx(model, images, path, Namespace(int8=int8, seed=0, max_drop=100.0))
    assert figures["onnx"]["file"] == path
    if int8:
        assert figures["onnx"]["int8"]["kind"] == "float32"
        assert lines[-1] == "left in float32: 8 bits are not faster here: 0.25 times the speed of float32"
        monkeypatch.setattr("ncapps.compression.quantizer.measure_latency", _as_fast)
        _, lines = write_onnx(model, images, path, Namespace(int8=True, seed=0))
        assert lines[-1] == "8 bits in 8 of 8 layers: 4.00 x as fast"
    else:
        assert lines == [f"wrote {path}: ONNX, {figures['onnx']['bytes']:,} bytes"]


def _as_fast(arms, runs):
    from ncapps.compression.latency import Latency

    return {name: Latency(times_ms=(1.0 if name == "int8" else 4.0,) * runs) for name in arms}


def _as_slow(arms, runs):
    from ncapps.compression.latency import Latency

    return {name: Latency(times_ms=(4.0 if name == "int8" else 1.0,) * runs) for name in arms}
