"""Made-up unknown images: textures and noise, as grey arrays in 0..255."""

from __future__ import annotations

import numpy as np


def textures(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Return gratings, checkerboards and rings, pitch and angle random, shape (images, side, side), uint8."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[0:side, 0:side] - (side - 1) / 2
    angle, pitch, phase = (random.uniform(low, high, (count, 1, 1)) for low, high in ((0, np.pi), (3.0, 8.0), (0, 6.3)))
    along = across * np.cos(angle) + down * np.sin(angle)
    over = -across * np.sin(angle) + down * np.cos(angle)
    wave = np.sin(2 * np.pi * along / pitch + phase)
    kinds = np.stack(
        [wave, wave * np.sin(2 * np.pi * over / pitch), np.sin(2 * np.pi * np.hypot(along, over) / pitch + phase)]
    )
    chosen = kinds[np.arange(count) % 3, np.arange(count)]
    contrast = random.uniform(0.5, 1.0, (count, 1, 1))
    return np.round(127.5 * (1 + contrast * chosen)).astype(np.uint8)


def noise(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Return independent uniform grey values, shape (images, side, side), uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)
