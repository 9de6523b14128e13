"""Fixtures for the tests of image sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two classes of three images, with the litter that real folders have."""
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number, suffix in enumerate(("png", "jpg", "webp")):
            pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.{suffix}")
    (folder / ".hidden").mkdir()
    Image.new("RGB", (4, 4)).save(folder / ".hidden" / "x.png")
    (folder / "cat" / "._0.png").write_bytes(b"litter")
    (folder / "dog" / "Thumbs.db").write_bytes(b"litter")
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def two_threads():
    """Torch on two threads, and as it was afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
