import numpy as np

from ncapps.ood.decision import Decision
from ncapps.ood.learned import Learned
from ncapps.ood.state import pack, unpack


def test_what_is_packed_comes_back_in_its_order():
    random = np.random.default_rng(0)
    base = Learned(arrays={"means": random.standard_normal((2, 3)), "scale": np.asarray(2.0)}, classes=("a", "c"))
    added = {"z": random.standard_normal((1, 3)), "b": random.standard_normal((4, 3))}
    decision = Decision.calibrated(random.standard_normal(80), 0.1, ["a", "c"] * 40)
    arrays, header = pack(base, added, decision)
    found, again, decided = unpack(arrays, header)
    assert found.classes == base.classes
    assert all(np.array_equal(found[key], base[key]) for key in base.arrays)
    assert {name: rows.tolist() for name, rows in again.items()} == {
        name: rows.tolist() for name, rows in added.items()
    }
    assert decided.groups == decision.groups
    assert decided.offset == decision.offset
    assert np.array_equal(decided.offsets, decision.offsets)
    assert np.array_equal(decided.members, decision.members)
