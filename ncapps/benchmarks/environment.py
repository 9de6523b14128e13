"""What a figure depends on beside the code: versions, machine, and a hash of the data."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from ncapps import __version__

_PACKAGES = ("torch", "timm", "numpy", "scikit-learn", "faiss-cpu", "torch-pruning")


def environment(**more: Any) -> dict[str, Any]:
    """Return versions and machine, ready for JSON; `more` adds what else fixes the figures, such as seed and data."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        "versions": {"ncapps": __version__, **{name: _version(name) for name in _PACKAGES}},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": device,
        **more,
    }


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
