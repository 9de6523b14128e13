import json

import pytest

from ncapps.cli import main


def test_a_pruned_network_in_8_bits(photos, network, tmp_path, capsys):
    compression_onnx = pytest.importorskip("compression_onnx")
    small, out = tmp_path / "small.safetensors", tmp_path / "small.onnx"
    arguments = ["compress", str(photos), "--macs", "0.6", "--out", str(small), *network]
    assert main([*arguments, "--onnx", str(out), "--int8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["onnx"]["bytes"] > 0
    assert found["onnx"]["int8"]["kind"] in ("int8", "float32")
    assert 0 <= found["onnx"]["int8"]["agreement"] <= 1
    again = tmp_path / "again.onnx"
    assert main(["export", str(photos), "--compressed", str(small), "--out", str(again), *network]) == 0
    assert "ONNX" in capsys.readouterr().out
    images = compression_onnx.convolutional()[1][:2].repeat(1, 1, 2, 2)
    assert _load(again)(images).shape == (2, 3)
    assert (_load(again)(images) - _load(out)(images)).norm() < 0.1 * _load(again)(images).norm()


def _load(path):
    from ncapps.compression import OnnxModel

    return OnnxModel.load(path)


def test_a_program_of_torch_export(photos, network, tmp_path, capsys):
    out = tmp_path / "net.pt2"
    assert main(["export", str(photos), "--out", str(out), "--json", *network]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["program"]["bytes"] == out.stat().st_size
    assert [key for key, _ in found["skipped"]] == ["red/broken.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["export", "--out", "net.bin"], "--out ends in .onnx or in .pt2"),
        (["export", "--out", "net.pt2", "--int8"], "--int8 goes with an ONNX file; let --out end in .onnx"),
        (["compress", "--out", "small", "--int8"], "--int8 goes with an ONNX file; say where: --onnx FILE"),
        (["export", "--out", "net.onnx", "--images", "0"], "--images must be 1 or more, but 0 came"),
    ],
)
def test_mistakes_get_one_line(photos, network, options, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main([options[0], str(photos), *options[1:], *network]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
