import pytest

from ncapps.benchmarks.extraction import ExtractionSettings, measure_jpegs, measure_model, write_photos
from ncapps.errors import InputError

QUICK = ExtractionSettings(size=32, seconds=0.02, rounds=2, threads=1, jpegs=8, long_job=100)


def test_every_arm_is_timed_and_the_ratios_follow():
    found = measure_model("cifar_resnet20", QUICK)
    speed = found["images_per_second"]
    assert set(speed) == {"bare", "extractor", "plain"}
    assert found["of_bare"]["by_minima"] == pytest.approx(speed["extractor"] / speed["bare"])
    assert found["times_plain"]["by_minima"] == pytest.approx(speed["extractor"] / speed["plain"])


def test_photos_are_jpegs_in_class_folders(tmp_path):
    write_photos(tmp_path, 8, seed=0)
    photos = sorted(tmp_path.rglob("*.jpg"))
    assert len(photos) == 8
    assert all(photo.read_bytes().startswith(b"\xff\xd8") and photo.parent.parent == tmp_path for photo in photos)


def test_jpegs_are_timed_against_the_usual_loop():
    found = measure_jpegs("cifar_resnet20", QUICK)
    assert all(speed > 0 for speed in found["images_per_second"].values())


def test_rounds_must_be_positive():
    with pytest.raises(InputError, match="rounds and seconds must be positive, but 0 and 1.0 came"):
        ExtractionSettings(rounds=0)
