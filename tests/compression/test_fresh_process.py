"""A compressed file comes back bit for bit in a process that has no torch-pruning, for nine families of timm."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from tiny_families import FAMILIES, build_tiny

from ncapps.compression import compress

# So small that heads go too, and with streams.
SETTINGS = {"vit_tiny_patch16_224": {"macs": 0.4}, "resnet18": {"macs": 0.7, "streams": True}}
LOADER = """
import json, sys
sys.modules["torch_pruning"] = None
sys.path.insert(0, sys.argv[2])
import torch
from ncapps.compression import load_compressed
from tiny_families import FAMILIES, build_tiny
images = torch.load(f"{sys.argv[1]}/images.pt", weights_only=True)
found = {}
with torch.no_grad():
    for name in FAMILIES:
        model = load_compressed(f"{sys.argv[1]}/{name}", build_tiny(name)).model
        found[name] = model(images).numpy().tobytes().hex()
print(json.dumps(found))
"""


def test_outputs_are_bit_for_bit_the_same(tmp_path):
    images, expected = torch.randn(12, 3, 32, 32, generator=torch.Generator().manual_seed(1)), {}
    torch.save(images, tmp_path / "images.pt")
    for name in FAMILIES:
        model = build_tiny(name)
        small = compress(model, images, **{"macs": 0.92, "progress": False, **SETTINGS.get(name, {})})
        cut = [width for width in small.plan.widths if len(width.kept) < width.channels]
        assert name != "vit_tiny_patch16_224" or any(width.head_dim for width in cut)
        assert name != "resnet18" or any(width.further_producers for width in cut)
        small.save(tmp_path / name)
        with torch.no_grad():
            outputs = small.model(images)
            # Far beyond rounding, however well the cut is repaired.
            assert (outputs - model(images)).norm() > 1e-5 * outputs.norm(), "pruning must matter"
        expected[name] = outputs.numpy().tobytes().hex()
    tests = Path(__file__).parents[1]
    arguments = [sys.executable, "-c", LOADER, str(tmp_path), str(tests)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=tests.parent)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) >= 8
    assert [name for name in FAMILIES if found[name] != expected[name]] == []
