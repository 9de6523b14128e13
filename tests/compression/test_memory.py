"""Freed memory goes back to the system, where the C library can do so."""

import sys
import threading
from pathlib import Path

import pytest
import torch

from ncapps.compression import memory
from ncapps.compression.memory import release_memory


def resident():
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


@pytest.mark.skipif(not sys.platform.startswith("linux") or memory._malloc_trim() is None, reason="needs glibc")
def test_what_threads_have_freed_goes_back():
    size = 2**20
    # So that the C library takes the large pieces from its own store afterwards.
    torch.ones(8 * size)
    barrier = threading.Barrier(9)

    def work():
        held = [torch.ones(size // 4) for _ in range(64)]
        # Of each thread something stays, in the way of what was freed below it.
        kept.append(held[-1])
        held.clear()
        barrier.wait()
        barrier.wait()

    kept = []
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    barrier.wait()
    before = resident()
    assert release_memory()
    after = resident()
    barrier.wait()
    for thread in threads:
        thread.join()
    assert len(kept) == 8
    assert before - after > 200 * size


def test_without_such_a_function_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory, "_malloc_trim", lambda: None)
    assert not release_memory()
