from ncapps import persist
from ncapps.cli import main


def test_remove_undoes_add_bit_for_bit(recognizer, kiwis, tmp_path):
    before = recognizer.read_bytes()
    assert main(["add-class", str(recognizer), "kiwi", str(kiwis), "--out", str(tmp_path / "more.ncapps")]) == 0
    assert recognizer.read_bytes() == before
    assert main(["remove-class", str(tmp_path / "more.ncapps"), "kiwi"]) == 0
    # The audit trail alone remembers.
    (tmp_path / "before.ncapps").write_bytes(before)
    parts = [persist.load(tmp_path / name, "recognizer", 2) for name in ("before.ncapps", "more.ncapps")]
    trails = [header["classifier"].pop("audit") for _, header in parts]
    assert [entry["action"] for entry in trails[1]] == ["fit", "add", "remove"]
    assert parts[0][1] == parts[1][1]
    assert {key: value.tobytes() for key, value in parts[0][0].items()} == {
        key: value.tobytes() for key, value in parts[1][0].items()
    }


def test_a_class_that_is_not_there(recognizer, capsys):
    assert main(["remove-class", str(recognizer), "kiwi"]) == 2
    assert "class 'kiwi' is not known; the classes are 'blue', 'green', 'red'" in capsys.readouterr().err
