"""OpenOOD's protocol on a made-up data folder: which list, which folder of images, and what is said if one lacks."""

import shutil

import pytest
from PIL import Image

from ncapps.benchmarks.openood import OPENOOD, open_openood
from ncapps.errors import InputError


def make_openood(root, name):
    """Write OpenOOD's folder with one image a list; return it."""
    protocol = OPENOOD[name]
    lists = root / "benchmark_imglist" / protocol.lists
    lists.mkdir(parents=True)
    for folder in ("images_classic", "images_largescale"):
        (root / folder).mkdir()
    known = {f"{part}_{protocol.lists}": (protocol.images, 1) for part in ("train", "val", "test")}
    unknown = {
        f"test_{one}": (protocol.elsewhere.get(one, protocol.images), -1) for one in (*protocol.near, *protocol.far)
    }
    for list_name, (images, label) in {**known, **unknown}.items():
        (lists / f"{list_name}.txt").write_text(f"{list_name}/1.png {label}\n", encoding="utf-8")
        (root / images / list_name).mkdir()
        Image.new("RGB", (4, 4)).save(root / images / list_name / "1.png")
    return root


@pytest.mark.parametrize(
    ("name", "near", "far"),
    [
        ("cifar10", {"cifar100", "tin"}, {"mnist", "svhn", "texture", "places365"}),
        ("cifar100", {"cifar10", "tin"}, {"mnist", "svhn", "texture", "places365"}),
        ("imagenet200", {"ssb_hard", "ninco"}, {"inaturalist", "textures", "openimage_o"}),
        ("imagenet1k", {"ssb_hard", "ninco"}, {"inaturalist", "textures", "openimage_o"}),
    ],
)
def test_every_set_comes_from_its_list(tmp_path, name, near, far):
    found = open_openood(name, make_openood(tmp_path, name))
    assert (set(found.near), set(found.far)) == (near, far)
    for unknown, source in {**found.near, **found.far}.items():
        assert source.keys == (f"test_{unknown}/1.png",)
        assert source.labels == (-1,)
        assert source.read(0).size == (4, 4)
    lists = "imagenet" if name == "imagenet1k" else name
    assert [source.keys[0] for source in (found.train, found.val, found.test)] == [
        f"{part}_{lists}/1.png" for part in ("train", "val", "test")
    ]


def test_imagenets_textures_lie_with_the_small_images(tmp_path):
    found = open_openood("imagenet1k", make_openood(tmp_path, "imagenet1k"))
    assert "images_classic" in found.far["textures"].paths[0]
    assert "images_largescale" in found.far["inaturalist"].paths[0]
    assert "images_largescale" in found.train.paths[0]


def test_test_transforms():
    assert OPENOOD["cifar100"].preprocessing.mean == (0.5071, 0.4867, 0.4408)
    assert OPENOOD["imagenet200"].preprocessing.resized(500, 400) == (320, 256)
    assert OPENOOD["cifar10"].preprocessing.resized(64, 64) == (32, 32)
    assert {protocol.preprocessing.interpolation for protocol in OPENOOD.values()} == {"bilinear"}


def test_everything_that_is_missing_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no complete OpenOOD v1.5 data folder.*images_classic.*downloads nothing"):
        open_openood("cifar10", tmp_path / "nowhere")
    root = make_openood(tmp_path, "imagenet1k")
    (root / "benchmark_imglist" / "imagenet" / "test_ninco.txt").unlink()
    shutil.rmtree(root / "images_classic")
    with pytest.raises(InputError, match=r"images_classic, .*test_ninco.txt missing") as caught:
        open_openood("imagenet1k", root)
    assert "\n" not in str(caught.value)
    assert "images_largescale" not in str(caught.value).split("folder:")[1]


def test_images_that_are_not_there_are_named(tmp_path):
    root = make_openood(tmp_path, "cifar10")
    shutil.rmtree(root / "images_classic" / "test_svhn")
    with pytest.raises(InputError, match=r"test_svhn.txt lists test_svhn/1.png, but neither it"):
        open_openood("cifar10", root)


def test_other_names_and_other_benchmarks_lists_are_refused(tmp_path):
    with pytest.raises(InputError, match="no benchmark 'mnist'; the names are cifar10, cifar100"):
        open_openood("mnist", tmp_path)
    root = make_openood(tmp_path, "cifar10")
    path = root / "benchmark_imglist" / "cifar10" / "test_cifar10.txt"
    path.write_text("test_cifar10/1.png 10\n", encoding="utf-8")
    with pytest.raises(InputError, match="test_cifar10.txt must label its images 0 to 9"):
        open_openood("cifar10", root)
