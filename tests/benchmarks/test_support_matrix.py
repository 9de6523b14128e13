import json

from ncapps.benchmarks.support_matrix import measure_support
from ncapps.benchmarks.support_settings import SupportSettings


def test_one_row_an_architecture_whatever_becomes_of_it():
    names = ("test_resnet", "regnetx_002", "no_such_network")
    found = measure_support(SupportSettings(output="", architectures=names, image_size=32))
    assert json.loads(json.dumps(found)) is not None
    rows = {row["architecture"]: row for row in found["rows"]}
    assert tuple(rows) == names
    assert [rows[name]["status"] for name in names] == ["works", "refused", "failed"]
    assert rows["no_such_network"]["reason"].startswith("InputError: timm knows no model called 'no_such_network'")
    assert found["counts"] == {"architectures": 3, "works": 1, "refused": 1, "failed": 1, "save a tenth": 1}
    assert 0 < found["worst_gate_error"] == rows["test_resnet"]["gate_error"] < 1e-5


def test_what_takes_too_long_is_given_up_with_one_line():
    found = measure_support(SupportSettings(output="", architectures=("test_resnet",), time_limit=0.1))
    assert found["rows"][0]["status"] == "too slow"
    assert found["rows"][0]["reason"] == "not finished after 0.1 s"
    assert found["worst_gate_error"] is None
