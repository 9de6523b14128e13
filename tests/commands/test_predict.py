import json

import numpy as np
from PIL import Image

from ncapps.cli import main


def test_one_image_and_a_folder(recognizer, photos, capsys):
    capsys.readouterr()
    assert main(["predict", str(recognizer), str(photos / "blue" / "03.png"), "--no-progress"]) == 0
    assert capsys.readouterr().out.split("\t")[1] == "blue"
    assert main(["predict", str(recognizer), str(photos), "--json", "--no-progress"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == 36
    assert sum(row["name"] == row["key"].split("/")[0] for row in found["rows"]) == 36
    assert [entry[0] for entry in found["skipped"]] == ["red/broken.png"]
    assert all(0 < row["p_value"] <= 1 and len(row["nearest"]) == 3 for row in found["rows"])


def test_an_image_of_nothing_known(recognizer, tmp_path, capsys):
    capsys.readouterr()
    pixels = np.random.default_rng(0).integers(0, 2, (20, 20, 3), dtype=np.uint8) * 255
    Image.fromarray(pixels).save(tmp_path / "odd.png")
    assert main(["predict", str(recognizer), str(tmp_path / "odd.png"), "--no-progress"]) == 0
    assert capsys.readouterr().out.split("\t")[1] == "unknown"


def test_a_missing_and_a_damaged_recognizer(tmp_path, photos, capsys):
    assert main(["predict", str(tmp_path / "none.ncapps"), str(photos)]) == 2
    assert "does not exist; is the path right?" in capsys.readouterr().err
    (tmp_path / "bad.ncapps").write_bytes(b"x" * 100)
    assert main(["predict", str(tmp_path / "bad.ncapps"), str(photos)]) == 2
    assert "is damaged or not a safetensors file" in capsys.readouterr().err
