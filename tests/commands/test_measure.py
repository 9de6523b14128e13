import json

from ncapps.cli import main


def test_measures_and_accuracy_as_json(photos, network, capsys):
    assert main(["measure", str(photos), "--json", *network]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_images"], found["n_classes"], found["width"]) == (36, 3, 64)
    assert found["nc1"] > 0
    assert found["nc3"] is not None
    assert 0 <= found["accuracy"] <= 1


def test_text_names_every_measure(photos, network, capsys):
    assert main(["measure", str(photos), *network]) == 0
    out = capsys.readouterr().out
    assert {"nc1", "nc2_equiangularity", "nc3", "nc4_agreement", "accuracy"} <= {
        line.split()[0] for line in out.split("\n") if line
    }
    assert "skipped red/broken.png" in out


def test_one_class_is_too_few(photos, network, tmp_path, capsys):
    (tmp_path / "only").symlink_to(photos / "blue")
    assert main(["measure", str(tmp_path), *network]) == 2
    assert "two or more are needed, but 1 came" in capsys.readouterr().err
