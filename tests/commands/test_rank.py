import json

import pytest
import yaml

from ncapps.cli import main
from ncapps.features import BackboneSpec
from ncapps.features.build import build_model

QUICK = ["--draws", "3", "--no-progress", "--device", "cpu"]


@pytest.fixture(scope="module")
def deeper(tmp_path_factory):
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("weights") / "deeper.safetensors"
    save_file(build_model(BackboneSpec(name="cifar_resnet32", num_classes=3), seed=1).state_dict(), path)
    return path


def test_table_sentence_and_report(photos, checkpoint, deeper, tmp_path, capsys):
    out = tmp_path / "report.html"
    given = ["--backbone", f"cifar_resnet20={checkpoint}", "--backbone", f"cifar_resnet32={deeper}"]
    assert main(["rank", str(photos), *given, "--out", str(out), *QUICK]) == 0
    said = capsys.readouterr().out
    assert said.startswith("backbone ")
    assert "\nTake cifar_resnet" in said
    assert "skipped red/broken.png" in said
    assert said.endswith(f"wrote {out}\n")
    page = out.read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "36 images of 3 classes" in page


def test_json_and_candidates_with_settings_of_their_own(photos, checkpoint, deeper, tmp_path, capsys):
    listed = tmp_path / "candidates.yaml"
    small = {"name": "cifar_resnet20", "checkpoint": str(checkpoint), "image_size": 16}
    listed.write_text(
        yaml.safe_dump({"at 16 pixels": small, "unlearned": {"name": "cifar_resnet20", "pretrained": False}})
    )
    given = ["--candidates", str(listed), "--backbone", f"cifar_resnet32={deeper}"]
    assert main(["rank", str(photos), *given, "--json", *QUICK]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in found["rows"]} == {"at 16 pixels", "unlearned", "cifar_resnet32"}
    assert found["recommended"] in {row["name"] for row in found["rows"]}
    assert found["settings"]["draws"] == 3
    assert found["primary"] == "held_out_classes"
    assert found["skipped"][0][0] == "red/broken.png"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "there is nothing to rank; name two networks or more"),
        (["--backbone", "resnet18"], "no weights of resnet18 on this machine"),
        (["--backbone", "resnet81"], "timm knows no model called 'resnet81'"),
        (["--backbone", "cifar_resnet20="], "--backbone is NAME, or NAME=FILE with its weights"),
        (["--backbone", "cifar_resnet20=missing.pth"], "missing.pth"),
        (["--backbone", "a", "--backbone", "a"], "--backbone a came twice"),
        (["--candidates", "missing.yaml"], "the candidates missing.yaml cannot be read"),
        (["--backbone", "{net}", "--shots", "12"], "no class has more than 12 images"),
        (["--backbone", "{net}", "--draws", "1"], "draws must be 2 or more, but 1 came"),
    ],
)
def test_bad_input_is_one_line_and_status_2(photos, checkpoint, arguments, words, capsys):
    filled = [word.replace("{net}", f"cifar_resnet20={checkpoint}") for word in arguments]
    assert main(["rank", str(photos), *filled, "--no-progress"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("- resnet18", "must map a name to the settings of each backbone"),
        ("a: [", "is not YAML"),
        ("mine: {nam: resnet18}", "unknown key 'nam'; did you mean 'name'?"),
        ("mine: {name: resnet18, image_size: big}", "big"),
    ],
)
def test_a_bad_file_of_candidates_is_told(photos, content, words, tmp_path, capsys):
    path = tmp_path / "candidates.yaml"
    path.write_text(content)
    assert main(["rank", str(photos), "--candidates", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error


def test_unlabelled_images_are_told(kiwis, checkpoint, capsys):
    assert main(["rank", str(kiwis), "--backbone", f"cifar_resnet20={checkpoint}", *QUICK]) == 2
    assert "has no class names" in capsys.readouterr().err
