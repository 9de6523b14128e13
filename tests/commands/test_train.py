import json

from ncapps.cli import main

CONFIG = """
backbone: cifar_resnet20
image_size: 16
epochs: 2
batch_size: 8
"""


def test_a_trained_model_serves_as_backbone(photos, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(CONFIG)
    model = tmp_path / "model.safetensors"
    arguments = ["train", str(photos), "--config", str(tmp_path / "c.yaml"), "--out", str(model), "--no-progress"]
    assert main([*arguments, "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    history = trained["history"]
    assert trained["classes"] == ["blue", "green", "red"]
    assert [key for key, _ in trained["skipped"]] == ["red/broken.png"]
    assert [record["epoch"] for record in history] == [1, 2]
    assert main(["measure", str(photos), "--backbone", str(model), "--no-progress", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["nc3"] is not None
    assert found["accuracy"] == history[-1]["train_accuracy"]


def test_a_misspelt_setting_names_file_and_mend(photos, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("epoch: 3\n")
    assert main(["train", str(photos), "--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "m")]) == 2
    assert "unknown key 'epoch'; did you mean 'epochs'?" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
