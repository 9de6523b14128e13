import json

from ncapps.cli import main
from ncapps.features import FeatureStore


def test_extract_writes_a_store_and_goes_on_from_it(photos, network, tmp_path, capsys):
    arguments = ["extract", str(photos), "--out", str(tmp_path / "store"), "--json", *network]
    assert main(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["images"], first["width"]) == (36, 64)
    assert [key for key, _ in first["skipped"]] == ["red/broken.png"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert len(FeatureStore(tmp_path / "store").read()) == 36


def test_another_network_is_refused(photos, network, tmp_path, capsys):
    out = ["extract", str(photos), "--out", str(tmp_path / "store")]
    assert main([*out, *network]) == 0
    assert main([*out, *network, "--mean", "0.5"]) == 2
    assert "preprocessing" in capsys.readouterr().err


def test_a_missing_folder_and_an_unknown_network(photos, network, tmp_path, capsys):
    assert main(["extract", str(tmp_path / "none"), "--out", str(tmp_path / "s"), *network]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["extract", str(photos), "--out", str(tmp_path / "s"), "--backbone", "resnet8"]) == 2
    assert "timm knows no model called 'resnet8'; did you mean" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
