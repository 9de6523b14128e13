from ncapps.cli import main


def test_remove_undoes_add_bit_for_bit(recognizer, kiwis, tmp_path):
    before = recognizer.read_bytes()
    assert main(["add-class", str(recognizer), "kiwi", str(kiwis), "--out", str(tmp_path / "more.ncapps")]) == 0
    assert recognizer.read_bytes() == before
    assert main(["remove-class", str(tmp_path / "more.ncapps"), "kiwi"]) == 0
    assert (tmp_path / "more.ncapps").read_bytes() == before


def test_a_class_that_is_not_there(recognizer, capsys):
    assert main(["remove-class", str(recognizer), "kiwi"]) == 2
    assert "class 'kiwi' is not known; the classes are 'blue', 'green', 'red'" in capsys.readouterr().err
