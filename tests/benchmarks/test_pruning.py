"""The pruning benchmark on made-up pictures: what is kept apart, what is drawn, and that its figures are compress's."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from PIL import Image

from ncapps import config
from ncapps.benchmarks import pruning
from ncapps.benchmarks.pruning import REPAIRS, PruningSettings, draw_evenly, measure_pruning, reporting_positions
from ncapps.compression import IMPORTANCES, TORCH_PRUNING
from ncapps.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("bird", "cat", "dog")


def write_pictures(folder: Path, each: int, seed: int, classes=CLASSES) -> Path:
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(each):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


@pytest.fixture
def settings(tmp_path, monkeypatch):
    write_pictures(tmp_path / "train", 8, seed=0)
    zipped(write_pictures(tmp_path / "test", 6, seed=1))
    model = randomise_norms(TinyResNet(classes=3))
    monkeypatch.setattr(pruning, "build_model", lambda spec: model)
    return PruningSettings(
        name="tiny", checkpoint="tiny.safetensors", calibration_data="train", test_data="test.zip", output="out.json",
        data_root=str(tmp_path), macs=(0.8, 0.6), importances=("obs", "l1"), seeds=(0, 1), calibration=20,
        images_for_choices=5, image_size=16,
    )  # fmt: skip


def test_every_combination_gives_one_row_whose_figures_agree(settings):
    result = measure_pruning(settings)
    rows = result["rows"]
    ran = [(row["seed"], row["importance"], row["macs"]) for row in rows]
    assert ran == [(s, i, m) for s in (0, 1) for i in ("obs", "l1") for m in (0.8, 0.6)]
    for row in rows:
        assert row["macs"] - 0.04 < row["macs_ratio"] == row["macs_after"] / row["macs_before"] <= row["macs"]
        # 20 images over 3 classes: 6 each.
        assert row["images"] == 18
        drop = 100 * (row["held_out_accuracy_before"] - row["held_out_accuracy_after"])
        assert row["drop"] == pytest.approx(drop)
        # 18 test images less 5 for choices.
        assert row["held_out_accuracy_before"] * 13 == pytest.approx(round(row["held_out_accuracy_before"] * 13))
    assert len({row["held_out_accuracy_before"] for row in rows}) == 1, "every row is measured on the same images"
    assert settings.data_root not in json.dumps(result), "no machine path in the figures"


def test_accuracy_is_that_of_the_network_on_the_images_not_for_choices(settings, tmp_path):
    files = sorted((tmp_path / "test").rglob("*.png"), key=lambda f: hashlib.sha256(f.read_bytes()).hexdigest())[5:]
    pixels = np.stack([np.asarray(Image.open(file), dtype=np.float32) / 255 for file in files])
    images = torch.from_numpy((pixels - settings.mean) / settings.std).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        decided = pruning.build_model(None).eval()(images).argmax(dim=1).numpy()
    right = np.mean([CLASSES[k] == file.parent.name for k, file in zip(decided, files, strict=True)])
    row = measure_pruning(replace(settings, seeds=(0,), importances=("l1",), macs=(0.8,)))["rows"][0]
    assert row["held_out_accuracy_before"] == pytest.approx(right)


def test_reporting_positions_are_the_rest_in_order_of_their_hashes(tmp_path):
    folder = write_pictures(tmp_path / "photos", 4, seed=2)
    keys = tuple(file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*.png")))
    digests = [hashlib.sha256((folder / key).read_bytes()).hexdigest() for key in keys]
    expected = sorted(range(len(keys)), key=digests.__getitem__)
    for path in (folder, zipped(folder)):
        assert reporting_positions(path, keys, for_choices=5, most=100).tolist() == expected[5:]
        assert reporting_positions(path, keys, for_choices=5, most=3).tolist() == expected[5:8]
    with pytest.raises(InputError, match="12 test images came and 12 are for choices"):
        reporting_positions(folder, keys, for_choices=12, most=3)


def test_drawn_evenly_without_repeats_and_by_seed():
    codes = np.repeat([0, 1, 2], (5, 9, 7))
    drawn = draw_evenly(codes, 14, np.random.default_rng(0))
    assert np.bincount(codes[drawn]).tolist() == [4, 4, 4]
    assert len(set(drawn.tolist())) == 12
    assert np.array_equal(drawn, draw_evenly(codes, 14, np.random.default_rng(0)))
    assert not np.array_equal(drawn, draw_evenly(codes, 14, np.random.default_rng(1)))


@pytest.mark.parametrize("count", [2, 18])
def test_too_few_or_too_many_calibration_images_are_refused(count):
    with pytest.raises(InputError, match=rf"calibration={count} is .* choose from 3 to 15"):
        draw_evenly(np.repeat([0, 1, 2], (5, 9, 7)), count, np.random.default_rng(0))


def test_other_classes_in_the_test_images_are_refused(settings, tmp_path):
    write_pictures(tmp_path / "others", 6, seed=3, classes=("bird", "cat", "fish"))
    with pytest.raises(InputError, match="same classes, .*bird, cat, dog .*bird, cat, fish"):
        measure_pruning(replace(settings, test_data="others"))


def test_an_unreadable_image_is_refused_instead_of_shifting_the_labels(settings, tmp_path):
    for file in (tmp_path / "train" / "cat").iterdir():
        file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(InputError, match=r"6 of 18 images of train cannot be read"):
        measure_pruning(settings)


@pytest.mark.parametrize(
    "name", ["resnet56_cifar10", "resnet20_cifar10", "resnet56_rivals", "resnet56_subset", "resnet50_imagenet"]
)
def test_the_configs_in_the_repository_are_read(name):
    found = config.load(PruningSettings, ROOT / "configs" / "compress" / f"{name}.yaml")
    assert found.name.removeprefix("cifar_") == name.split("_")[0]
    assert set(found.importances) <= IMPORTANCES.keys() | TORCH_PRUNING.keys()
    assert set(found.repairs) <= REPAIRS.keys()
    assert found.output == f"recipes/results/compress_{name}.json"


def test_repairs_rivals_and_class_subsets(settings):
    settings = replace(
        settings,
        importances=("tp_l2",),
        repairs=("none", "batchnorm", "full"),
        macs=(0.6,),
        seeds=(0,),
        classes=(2, 0),
        calibration=16,
    )
    rows = measure_pruning(settings)["rows"]
    assert [row["repair"] for row in rows] == ["none", "batchnorm", "full"]
    # The same fraction of every width, as torch-pruning does.
    assert all(len(set(row["widths_after"].values())) == 1 for row in rows)
    assert all(row["images"] == 16 and row["held_out_images"] < 13 for row in rows)


def test_rows_leave_out_what_is_the_same_in_all_of_them(settings):
    (row,) = measure_pruning(replace(settings, seeds=(0,), importances=("l1",), macs=(0.8,)))["rows"]
    assert not {"front", "collapse_profile"} & set(row)
    assert {"drop", "seconds", "widths_after", "macs_ratio"} <= set(row)
