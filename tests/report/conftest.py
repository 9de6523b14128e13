from __future__ import annotations

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pytest

SVG = "{http://www.w3.org/2000/svg}"


class Drawing:
    """An SVG string, parsed: what a test wants to know of it."""

    def __init__(self, svg):
        self.text = svg
        self.root = ET.fromstring(svg)

    @property
    def words(self):
        return ["".join(item.itertext()).strip() for item in self.root.iter(f"{SVG}text")]

    @property
    def ids(self):
        return [item.get("id") for item in self.root.iter() if item.get("id")]

    def count(self, tag):
        return sum(1 for _ in self.root.iter(SVG + tag))


@pytest.fixture
def drawn():
    """Check what holds for every figure, and return the parsed drawing."""

    def check(svg):
        drawing = Drawing(svg)
        assert svg.startswith("<svg")
        assert drawing.root.get("width")
        assert drawing.root.get("viewBox")
        assert svg.count("http") == svg.count('xmlns="http://www.w3.org/2000/svg"')
        assert "<script" not in svg
        assert "metadata" not in svg
        assert len(set(drawing.ids)) == len(drawing.ids)
        used = {item.get("href") for item in drawing.root.iter(f"{SVG}use")}
        assert used <= {f"#{name}" for name in drawing.ids}
        return drawing

    return check


def make_clusters(classes, images, width=16, noise=0.05, seed=0):
    random = np.random.default_rng(seed)
    means = 3 * np.eye(max(classes, width))[:classes, : max(classes, width)]
    labels = np.arange(classes).repeat(images)
    return means[labels] + noise * random.standard_normal((len(labels), means.shape[1])), labels, means


@pytest.fixture
def clusters():
    """Make features around class means that are a simplex: features, labels, means."""
    return make_clusters


def make_run():
    random = np.random.default_rng(3)
    features, labels, means = make_clusters(8, 12)
    records = tuple(
        SimpleNamespace(
            epoch=epoch,
            loss=2.0 / epoch,
            train_accuracy=1 - 0.5 / epoch,
            val_accuracy=None if epoch % 2 else 0.95,
            nc1=0.5 / epoch,
            nc2_equinorm=0.2 / epoch,
            nc2_equiangularity=0.3 / epoch,
            nc3=0.4 / epoch,
            nc4=1.0,
        )
        for epoch in range(1, 11)
    )
    unknown = {"digits 8 and 9": random.normal(-3, 1, 40), "textures": random.normal(-5, 1, 40), "noise": np.zeros(0)}
    results = {
        "accuracy_known": 0.985,
        "accuracy_added": 0.9,
        "accuracy_known_after_adding": 0.975,
        "accuracy_all": 0.96,
        "undo_is_exact": True,
        "ood_auroc": 0.987,
        "ood_auroc_each": {"digits 8 and 9": 0.98, "textures": 0.99},
        "ood_detected": {"digits 8 and 9": 0.9, "textures": 0.95},
        "false_alarm_rate": {"target": 0.05, "measured": 0.045, "low": 0.02, "high": 0.09},
        "macs_ratio": 0.498,
        "accuracy_dense": 0.99,
        "accuracy_pruned": 0.98,
        "prune_seconds": 2.5,
        "nc1": 0.0123,
        "nc2_equiangularity": 0.05,
        "nc3": 0.02,
        "nc4_agreement": 1.0,
        "seconds": 61.0,
    }
    return SimpleNamespace(
        results=results,
        history=records,
        features=features,
        labels=labels,
        added_features=0.3 * features[:20] + 0.2,
        added_labels=np.repeat([8, 9], 10),
        unknown_features=0.1 * features[:15],
        vertices=means,
        scores={"known digits": random.normal(0, 0.5, 60), **unknown},
        threshold=-1.0,
        confusion_before=(np.diag(np.full(8, 12)), tuple(range(8))),
        confusion_after=(np.diag(np.full(10, 12)) + np.eye(10, k=1, dtype=int), tuple(range(10))),
        tradeoff=((1.0, 0.99), (0.75, 0.985), (0.498, 0.98), (0.25, 0.8)),
        chosen=(0.498, 0.98),
        gallery=(
            [np.full((8, 8), shade, np.uint8) for shade in (0, 90, 250)],
            ["7, 98%", "8, 71%", "unknown"],
            ["known", "added, wrong", "noise"],
        ),
        settings={"backbone": "resnet18", "epochs": 10, "augment": "shift", "final_fraction_without_augmentation": 0.2},
        environment={"versions": {"torch": "2.15"}, "seed": 0},
    )


@pytest.fixture
def run():
    """What a quickstart returns, made up; its own for each test."""
    return make_run()


@pytest.fixture(scope="session")
def quickstart_text():
    """The page of that run."""
    from ncapps.report import quickstart_page

    return quickstart_page(make_run()).render()
