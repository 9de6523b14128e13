import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ncapps import persist
from ncapps.errors import InputError
from ncapps.features import Backbone, FeatureExtractor, open_images
from ncapps.recognizer import Recognizer, class_name


def colours(names=("blue", "green", "red"), each=15, seed=0):
    """Noisy images of one colour a class, 16 x 16."""
    palette = {"blue": (30, 50, 220), "green": (40, 200, 60), "red": (220, 50, 40), "kiwi": (140, 150, 20)}
    random = np.random.default_rng(seed)
    images = np.concatenate([random.normal(palette[name], 25, (each, 16, 16, 3)) for name in names])
    return open_images(np.clip(images, 0, 255).astype(np.uint8), np.repeat(names, each))


@pytest.fixture(scope="module")
def extractor():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _extractor()


def _extractor():
    backbone = Backbone("cifar_resnet20", pretrained=False, preprocessing={"size": (16, 16)})
    return FeatureExtractor(backbone, precision="float32", progress=False)


@pytest.fixture
def recognizer(extractor):
    return Recognizer.fit(extractor, colours(), reject_rate=0.2)


def test_images_are_named_and_what_is_odd_is_unknown(recognizer):
    found = recognizer.predict(colours(each=4, seed=5))
    assert [row.name for row in found.rows] == ["blue"] * 4 + ["green"] * 4 + ["red"] * 4
    assert all(row.probability == row.nearest[0][1] and row.name == row.nearest[0][0] for row in found.rows)
    odd = np.random.default_rng(0).integers(0, 2, (3, 16, 16, 3), dtype=np.uint8) * 255
    assert not any(row.known for row in recognizer.predict(odd).rows)


def test_known_is_what_the_p_value_says(recognizer):
    rows = recognizer.predict(colours(each=10, seed=6)).rows
    assert [row.known for row in rows] == [row.p_value > 0.2 for row in rows]


def test_the_report_is_of_held_out_images(recognizer):
    assert (recognizer.report.n_fitted, recognizer.report.n_held_out) == (36, 9)
    assert recognizer.report.accuracy_held_out == 1.0


def test_a_separate_calibration_set_leaves_all_images_to_the_fit(extractor):
    recognizer = Recognizer.fit(extractor, colours(), calibration=colours(seed=9), reject_rate=0.1)
    assert (recognizer.report.n_fitted, recognizer.report.n_held_out) == (45, 45)


def test_adding_and_removing_is_undone_bit_for_bit(recognizer, tmp_path):
    recognizer.save(tmp_path / "before")
    recognizer.add_class("kiwi", colours(("kiwi",), each=5))
    assert recognizer.classes == ("blue", "green", "kiwi", "red")
    assert recognizer.predict(colours(("kiwi",), each=3, seed=4)).rows[0].name == "kiwi"
    recognizer.remove_class("kiwi").save(tmp_path / "after")
    (before, told), (after, told_after) = (
        persist.load(tmp_path / name, "recognizer", 2) for name in ("before", "after")
    )
    # The audit trail alone remembers.
    trails = [header["classifier"].pop("audit") for header in (told, told_after)]
    assert [entry["action"] for entry in trails[1]] == ["fit", "add", "remove"]
    assert told == told_after
    assert before.keys() == after.keys()
    assert all(before[key].tobytes() == after[key].tobytes() for key in before)


def test_save_and_load_predict_alike(recognizer, tmp_path):
    recognizer.add_class("kiwi", colours(("kiwi",), each=5))
    recognizer.save(tmp_path / "r.ncapps")
    loaded = Recognizer.load(tmp_path / "r.ncapps", precision="float32", progress=False)
    images = colours(each=5, seed=3)
    assert loaded.predict(images) == recognizer.predict(images)
    assert loaded.report == recognizer.report
    assert loaded.extractor.backbone.preprocessing == recognizer.extractor.backbone.preprocessing


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 4)

    def forward(self, images):
        return self.head(self.body(images))


def test_a_module_of_ones_own_is_passed_when_loading(tmp_path):
    torch.manual_seed(0)
    backbone = Backbone(Own(), preprocessing={"size": (16, 16)})
    recognizer = Recognizer.fit(
        FeatureExtractor(backbone, precision="float32", progress=False), colours(), reject_rate=0.2
    )
    recognizer.save(tmp_path / "own")
    with pytest.raises(InputError, match="a network that is not timm's \\(Own\\); pass it: Recognizer.load"):
        Recognizer.load(tmp_path / "own")
    loaded = Recognizer.load(tmp_path / "own", model=Own(), precision="float32", progress=False)
    assert loaded.predict(colours(each=2)) == recognizer.predict(colours(each=2))


def test_unreadable_images_are_in_the_ledger(recognizer, tmp_path):
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    found = recognizer.predict(tmp_path)
    assert [row.key for row in found.rows] == ["a.png"]
    assert [key for key, _ in found.skipped] == ["b.png"]


def test_errors_name_the_cause(recognizer, extractor, tmp_path):
    with pytest.raises(InputError, match="the images have no class names"):
        Recognizer.fit(extractor, np.zeros((4, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match="has 1 image\\(s\\), but a split into 2 parts"):
        Recognizer.fit(extractor, colours(each=1))
    with pytest.raises(InputError, match="calibration images can't hold a false-alarm rate of 0.01"):
        Recognizer.fit(extractor, colours(), reject_rate=0.01)
    with pytest.raises(InputError, match="is there already"):
        recognizer.add_class("red", colours(("red",), each=2))
    recognizer.save(tmp_path / "r")
    with pytest.raises(InputError, match="holds a 'recognizer', but a 'prototype-classifier' was expected"):
        type(recognizer.classifier).load(tmp_path / "r")


def test_a_name_that_is_taken_changes_nothing(recognizer):
    before = recognizer.classifier.state_hash(), recognizer.detector.classes_
    with pytest.raises(InputError, match="is there already"):
        recognizer.add_class("blue", colours(("blue",), each=2))
    assert (recognizer.classifier.state_hash(), recognizer.detector.classes_) == before


def test_class_names_typed_by_a_person(extractor, recognizer):
    assert class_name(recognizer, "7") == "7"
    source = colours()
    numbered = source.with_labels(np.repeat([3, 5, 7], 15))
    numbers = Recognizer.fit(extractor, numbered, reject_rate=0.2)
    assert class_name(numbers, "8") == 8
    with pytest.raises(InputError, match="classes of this recognizer are numbers, but 'kiwi' came"):
        class_name(numbers, "kiwi")


def test_where_the_detector_refuses_nothing_has_changed(recognizer):
    kiwis = colours(("kiwi",), each=3)
    recognizer.detector.add_class("kiwi", recognizer.extractor.extract(kiwis).values)
    before = recognizer.classifier.state_hash()
    with pytest.raises(InputError, match="'kiwi' is there already"):
        recognizer.add_class("kiwi", kiwis)
    assert recognizer.classifier.state_hash() == before
    recognizer.detector.remove_class("kiwi").remove_class("red")
    with pytest.raises(InputError, match="class 'red' is not known"):
        recognizer.remove_class("red")
    assert recognizer.classifier.state_hash() == before


def test_calibration_is_of_known_classes(extractor):
    with pytest.raises(InputError, match="calibration holds 'kiwi', a class that the data does not"):
        Recognizer.fit(extractor, colours(), calibration=colours(("red", "kiwi")), reject_rate=0.1)
    numbered = colours().with_labels(np.repeat([3, 5, 7], 15))
    with pytest.raises(InputError, match="class names are of mixed type"):
        Recognizer.fit(extractor, colours(), calibration=numbered, reject_rate=0.1)


def test_images_that_a_new_class_goes_without_are_told(recognizer, tmp_path, caplog):
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    recognizer.add_class("grey", tmp_path)
    assert len(recognizer.classifier.added_["grey"]) == 1
    assert any("class 'grey' is added without b.png: " in text for text in caplog.messages)
