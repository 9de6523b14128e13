import hashlib
import json

from ncapps.benchmarks.environment import environment, file_hash


def test_environment_is_json_able_and_names_versions():
    found = environment(seed=3, data="digits")
    assert json.loads(json.dumps(found)) == found
    assert found["seed"] == 3
    assert all(found["versions"][name] != "not installed" for name in ("torch", "timm", "numpy"))


def test_file_hash_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
