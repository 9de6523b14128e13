import json

from ncapps.cli import main


def test_compress_reaches_its_target(photos, network, tmp_path, capsys):
    out = tmp_path / "small.safetensors"
    assert main(["compress", str(photos), "--macs", "0.6", "--out", str(out), "--json", *network]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.55 < found["macs_ratio"] <= 0.6
    assert found["images"] == 36
    assert [key for key, _ in found["skipped"]] == ["red/broken.png"]
    assert out.is_file()


def test_no_image_to_calibrate_on(photos, network, tmp_path, capsys):
    assert main(["compress", str(photos), "--images", "0", "--out", str(tmp_path / "s"), *network]) == 2
    assert "--images must be 1 or more, but 0 came" in capsys.readouterr().err


def test_a_target_out_of_reach_is_one_line(photos, network, tmp_path, capsys):
    assert main(["compress", str(photos), "--macs", "0.001", "--out", str(tmp_path / "s"), *network]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())
