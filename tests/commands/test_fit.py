import json
from datetime import datetime

from ncapps.cli import main
from ncapps.fewshot import audit


def test_fit_tells_the_held_out_accuracy_and_the_ledger(photos, network, tmp_path, capsys):
    out = tmp_path / "colours.ncapps"
    assert main(["fit", str(photos), "--out", str(out), "--reject-rate", "0.2", "--json", *network]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == ["blue", "green", "red"]
    assert found["accuracy_held_out"] == 1.0
    assert (found["n_fitted"], found["n_held_out"]) == (30, 6)
    assert [key for key, _ in found["skipped"]] == ["red/broken.png"]
    assert out.stat().st_size > 1_000_000


class Stopped(datetime):
    """A clock that stands still: the audit trail tells when, which may differ by a second."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 1, tzinfo=tz)


def test_the_same_seed_writes_the_same_bytes(photos, network, tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "datetime", Stopped)
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        assert main(["fit", str(photos), "--out", str(file), "--reject-rate", "0.2", *network]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_too_few_images_for_the_rate_is_one_line_and_no_file(photos, network, tmp_path, capsys):
    out = tmp_path / "colours.ncapps"
    assert main(["fit", str(photos), "--out", str(out), "--reject-rate", "0.01", *network]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ncapps fit: 6 calibration images can't hold a false-alarm rate of 0.01: 99 or more")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_images_without_class_names(kiwis, network, tmp_path, capsys):
    assert main(["fit", str(kiwis), "--out", str(tmp_path / "x"), *network]) == 2
    assert "the images have no class names; expected a folder" in capsys.readouterr().err


def test_a_separate_calibration_set(photos, network, tmp_path, capsys):
    out = str(tmp_path / "c")
    words = ["fit", str(photos), "--calibration", str(photos), "--out", out, "--reject-rate", "0.2", "--json", *network]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_fitted"], found["n_held_out"]) == (36, 36)
