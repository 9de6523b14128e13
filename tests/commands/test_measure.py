import json
from types import SimpleNamespace

import numpy as np
import pytest

from ncapps.cli import main
from ncapps.commands.measure import head_of_classes


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


def test_the_heads_rows_follow_the_class_names():
    head = SimpleNamespace(weight=np.arange(6.0).reshape(3, 2), bias=np.arange(3.0))
    extractor, features = SimpleNamespace(head=head, classes=("c", "a", "b")), SimpleNamespace(classes=("a", "b", "c"))
    found = head_of_classes(extractor, features)
    assert found.bias.tolist() == [1, 2, 0]
    assert np.array_equal(found.weight, head.weight[[1, 2, 0]])


@pytest.mark.parametrize("classes", [("x", "y", "z"), ("a", "b")])
def test_a_head_of_other_classes_is_left_out(classes):
    head = SimpleNamespace(weight=np.zeros((len(classes), 2)), bias=None)
    extractor = SimpleNamespace(head=head, classes=classes)
    assert head_of_classes(extractor, SimpleNamespace(classes=("a", "b", "c"))) is None


def test_one_class_is_too_few(photos, network, tmp_path, capsys):
    (tmp_path / "only").symlink_to(photos / "blue")
    assert main(["measure", str(tmp_path), *network]) == 2
    assert "two or more are needed, but 1 came" in capsys.readouterr().err
