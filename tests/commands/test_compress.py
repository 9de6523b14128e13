import json

import pytest
from latency_clock import FIXED_MS, MadeUpClock

from ncapps.cli import main
from ncapps.compression import stopwatch


def test_compress_reaches_its_target(photos, network, tmp_path, capsys):
    out = tmp_path / "small.safetensors"
    assert main(["compress", str(photos), "--macs", "0.6", "--out", str(out), "--json", *network]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.55 < found["macs_ratio"] <= 0.6
    assert found["images"] == 36
    assert [key for key, _ in found["skipped"]] == ["red/broken.png"]
    assert out.is_file()


@pytest.mark.parametrize("allocation", ["repaired", "uniform"])
def test_the_target_is_shared_out_as_asked(photos, network, tmp_path, capsys, allocation):
    found = {}
    for one in ("loss", allocation):
        out = str(tmp_path / f"{one}.safetensors")
        assert main(["compress", str(photos), "--allocation", one, "--out", out, "--json", *network]) == 0
        found[one] = json.loads(capsys.readouterr().out)["widths_after"]
    assert found["loss"] != found[allocation]
    assert main(["compress", str(photos), "--allocation", "fair", "--out", out, *network]) == 2
    assert "there are loss, repaired, uniform" in capsys.readouterr().err


def test_no_image_to_calibrate_on(photos, network, tmp_path, capsys):
    assert main(["compress", str(photos), "--images", "0", "--out", str(tmp_path / "s"), *network]) == 2
    assert "--images must be 1 or more, but 0 came" in capsys.readouterr().err


def test_a_target_out_of_reach_is_one_line(photos, network, tmp_path, capsys):
    assert main(["compress", str(photos), "--macs", "0.001", "--out", str(tmp_path / "s"), *network]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_bound_on_the_drop_is_kept_on_images_held_out(photos, network, tmp_path, capsys):
    out = tmp_path / "small.safetensors"
    asked = ["--max-drop", "10", "--held-out", "9", "--out", str(out), "--json"]
    assert main(["compress", str(photos), *asked, *network]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["held_out_images"]) == (27, 9)
    # The folders are named as the network's classes are, so that this is accuracy.
    assert found["held_out_accuracy_before"] is not None
    assert found["drop"] <= max(10, 100 / 9)
    assert [point["chosen"] for point in found["front"]].count(True) == 1


def test_parameters_and_operations_are_not_both_a_target(photos, network, tmp_path, capsys):
    out = tmp_path / "small.safetensors"
    assert main(["compress", str(photos), "--params", "0.7", "--out", str(out), *network]) == 0
    told = capsys.readouterr().out
    before, after = (int(part.replace(",", "")) for part in told.split("parameters ")[1].split("\n")[0].split(" -> "))
    assert 0.6 < after / before <= 0.7
    with pytest.raises(SystemExit):
        main(["compress", str(photos), "--params", "0.7", "--macs", "0.7", "--out", str(out), *network])


def test_milliseconds_are_a_target_too(photos, network, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(stopwatch, "time_modules", MadeUpClock())
    asked = ["compress", str(photos), "--out", str(tmp_path / "s"), *network]
    assert main([*asked, "--latency-ms", "200"]) == 0
    told = capsys.readouterr().out
    before, after = (float(part.split(" ms")[0]) for part in told.split("one image took ")[1].split("and takes "))
    assert FIXED_MS < after <= 200 < before
    assert main([*asked, "--latency-ms", "1", "--json"]) == 2
    assert "latency_ms=1 is out of reach: a pass takes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*asked, "--latency-ms", "200", "--macs", "0.7"])


def test_only_some_classes_by_name(photos, network, tmp_path, capsys):
    out = tmp_path / "small.safetensors"
    assert main(["compress", str(photos), "--classes", "red", "blue", "--out", str(out), "--json", *network]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 24
    assert main(["compress", str(photos), "--classes", "pink", "--out", str(out), *network]) == 2
    assert "takes one of blue, green, red, but 'pink' came" in capsys.readouterr().err


def test_no_more_images_calibrate_than_were_asked_for(photos, network, tmp_path, capsys):
    asked = ["--macs", "0.6", "--max-drop", "90", "--images", "8", "--held-out", "20", "--json"]
    assert main(["compress", str(photos), *asked, "--out", str(tmp_path / "s"), *network]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["held_out_images"]) == (8, 20)


def test_too_few_images_to_hold_some_out(photos, network, tmp_path, capsys):
    asked = ["--max-drop", "1", "--images", "1", "--held-out", "1", "--out", str(tmp_path / "s")]
    assert main(["compress", str(photos), *asked, *network]) == 2
    assert "only 2 could be read" in capsys.readouterr().err
