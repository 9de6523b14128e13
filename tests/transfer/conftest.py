import numpy as np
import pytest


def make_clouds(n_classes=6, per_class=20, width=8, within=0.5, seed=0):
    random = np.random.default_rng(seed)
    means = random.normal(size=(n_classes, width))
    codes = random.permutation(np.repeat(np.arange(n_classes), per_class))
    return means[codes] + within * random.normal(size=(len(codes), width)), codes


@pytest.fixture
def clouds():
    """Make Gaussian classes around random means of unit variance: features and codes, in random order."""
    return make_clouds
