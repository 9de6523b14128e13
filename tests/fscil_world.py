"""A small FSCIL run of Gaussian classes, shared by the tests."""

import numpy as np

from ncapps.benchmarks.fscil import FSCILFeatures

NAMES = [f"class {number:02d}" for number in range(12)]
SESSIONS = (tuple(NAMES[:6]), tuple(NAMES[6:9]), tuple(NAMES[9:]))


def make_run(seed=0, spread=0.8, width=16, shots=5, **changes):
    """Return features of six base classes and two steps of three; non-negative, as a ReLU leaves them."""
    rng = np.random.default_rng(seed)
    means = dict(zip(NAMES, np.abs(rng.normal(size=(len(NAMES), width))), strict=True))

    def draw(names, images):
        labels = np.repeat(names, images)
        rows = np.stack([means[label] for label in labels])
        return np.abs(rows + spread * rng.normal(size=rows.shape)), labels

    parts = {"base": draw(NAMES[:6], 40), "pool": draw(NAMES[6:], 15), "test": draw(NAMES, 20)}
    pool_labels = parts["pool"][1]
    settings = {name: values for name, (values, _) in parts.items()}
    settings |= {f"{name}_labels": labels for name, (_, labels) in parts.items()}
    settings["sessions"] = SESSIONS
    settings["canonical"] = {name: np.flatnonzero(pool_labels == name)[:shots] for name in NAMES[6:]}
    return FSCILFeatures(**(settings | changes))
