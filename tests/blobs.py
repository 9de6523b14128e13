"""Round classes of random centres, named "class 0", "class 1" and so on."""

import numpy as np


def blobs(classes=4, each=20, width=6, seed=0, spread=0.2):
    random = np.random.default_rng(seed)
    centers = 3 * random.standard_normal((classes, width))
    y = np.repeat([f"class {c}" for c in range(classes)], each)
    return np.repeat(centers, each, axis=0) + spread * random.standard_normal((classes * each, width)), y
