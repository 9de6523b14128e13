"""What all tests share: synthetic collapsed features, the folder of real data, and few threads."""

import os
from pathlib import Path

# Read when the libraries load: more threads than cores only slow small matrices down.
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))

import pytest
from hypothesis import settings
from synthetic import Collapsed, make_collapsed

settings.register_profile("ncapps", deadline=None, max_examples=25, derandomize=True, database=None)
settings.load_profile("ncapps")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def collapsed() -> Collapsed:
    """Eight classes in twelve dimensions, within-class deviation 1e-4 of the class scale."""
    return make_collapsed()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real images and weights: NCAPPS_DATA, or ../shared; the test is skipped where there is none."""
    root = Path(os.environ.get("NCAPPS_DATA", REPOSITORY.parent / "shared"))
    if not (root / "data").is_dir():
        pytest.skip(f"no real data at {root}; set NCAPPS_DATA to its folder")
    return root
