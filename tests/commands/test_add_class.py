import json

from ncapps.cli import main


def test_add_then_predict_the_new_class(recognizer, kiwis, capsys):
    capsys.readouterr()
    assert main(["add-class", str(recognizer), "kiwi", str(kiwis), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 5
    assert found["classes"] == ["blue", "green", "kiwi", "red"]
    assert main(["predict", str(recognizer), str(kiwis / "0.png"), "--json", "--no-progress"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["name"] == "kiwi"


def test_a_name_that_is_taken_leaves_the_file_as_it_was(recognizer, kiwis, capsys):
    before = recognizer.read_bytes()
    assert main(["add-class", str(recognizer), "red", str(kiwis)]) == 2
    assert "class 'red' is there already" in capsys.readouterr().err
    assert recognizer.read_bytes() == before


def test_images_that_cannot_be_read(recognizer, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"")
    assert main(["add-class", str(recognizer), "kiwi", str(tmp_path / "broken.png")]) == 2
    assert "could be read" in capsys.readouterr().err


def test_a_dry_run_tells_and_changes_nothing(recognizer, kiwis, capsys):
    before = recognizer.read_bytes()
    capsys.readouterr()
    assert main(["add-class", str(recognizer), "kiwi", str(kiwis), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["images"], told["wanted_accuracy"]) == ("kiwi", 5, 0.9)
    assert 0 <= told["expected_accuracy"] <= 1
    assert main(["add-class", str(recognizer), "kiwi", str(kiwis), "--dry-run", "--wanted-accuracy", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "5 image(s) of kiwi: about" in out
    assert "50%" in out
    assert out.rstrip().endswith("nothing was changed")
    assert recognizer.read_bytes() == before
