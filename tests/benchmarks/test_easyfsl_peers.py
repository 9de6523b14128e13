"""easyfsl's methods in one label space of classes with many images and with one."""

import sys

import numpy as np
import pytest
from blobs import blobs

from ncapps.benchmarks.easyfsl_peers import EASYFSL, easyfsl_classifier
from ncapps.errors import InputError
from ncapps.prototypes import unit_rows


def _means(rows, labels):
    return np.stack([rows[labels == name].mean(axis=0) for name in np.unique(labels)])


def _nearest(queries, means):
    return ((queries[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (EASYFSL[0], lambda X, y, Q, c: _nearest(Q, _means(X, y))),
        (EASYFSL[1], lambda X, y, Q, c: _nearest(unit_rows(Q), _means(unit_rows(X), y))),
        (EASYFSL[2], lambda X, y, Q, c: (unit_rows(Q) @ unit_rows(_means(X, y)).T).argmax(axis=1)),
        (
            EASYFSL[3],
            lambda X, y, Q, c: (unit_rows(Q - c) @ unit_rows(_means(unit_rows(X - c), y)).T).argmax(axis=1),
        ),
    ],
)
def test_agreement_with_the_formulas(name, expected):
    pytest.importorskip("easyfsl", reason="pip install ncapps[bench] for the agreement with easyfsl")
    X, y = blobs(classes=6, each=20, spread=3.0)
    X = X + 1.0
    kept = np.r_[0:60, 60, 80, 100]
    center = X[:60].mean(axis=0)
    named = easyfsl_classifier(name, center)(X[kept], y[kept], X)
    assert named.tolist() == np.unique(y)[expected(X[kept], y[kept], X, center)].tolist()
    assert 0.3 < (named == y).mean() < 1


def test_errors_name_the_cause(monkeypatch):
    pytest.importorskip("easyfsl", reason="pip install ncapps[bench] for the agreement with easyfsl")
    with pytest.raises(InputError, match="methods here are easyfsl ProtoNet, .* but 'MAML' came"):
        easyfsl_classifier("MAML", np.zeros(3))
    monkeypatch.setitem(sys.modules, "easyfsl.methods", None)
    with pytest.raises(InputError, match=r"pip install ncapps\[bench\]"):
        easyfsl_classifier(EASYFSL[0], np.zeros(3))
