import numpy as np
import pytest
from PIL import Image

from ncapps.cli import main
from ncapps.features import BackboneSpec
from ncapps.features.build import build_model

COLOURS = {"blue": (40, 60, 220), "green": (40, 200, 60), "red": (220, 50, 40)}


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Twelve noisy photos of each of three colours, and one broken file."""
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for index in range(12):
            pixels = np.clip(random.normal(colour, 25, (20, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:02d}.png")
    (root / "red" / "broken.png").write_bytes(b"not an image")
    return root


@pytest.fixture(scope="session")
def kiwis(tmp_path_factory):
    root, random = tmp_path_factory.mktemp("kiwis"), np.random.default_rng(1)
    for index in range(5):
        pixels = np.clip(random.normal((150, 150, 20), 20, (20, 20, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Random but fixed weights: colours are told apart by any network."""
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    model = build_model(BackboneSpec(name="cifar_resnet20", num_classes=3), seed=0)
    save_file(model.state_dict(), path, metadata={"classes": "blue green red"})
    return path


@pytest.fixture
def network(checkpoint):
    return ["--backbone", "cifar_resnet20", "--checkpoint", str(checkpoint), "--no-progress"]


@pytest.fixture
def recognizer(photos, network, tmp_path):
    path = tmp_path / "colours.ncapps"
    assert main(["fit", str(photos), "--out", str(path), "--reject-rate", "0.2", *network]) == 0
    return path
