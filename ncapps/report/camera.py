"""`Camera`: turn three-dimensional points and look at them in perspective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """A rotation and a distance; unit length is the length of the furthest vertex from the centre.

    Parameters
    ----------
    rotation : numpy.ndarray
        Orthonormal, shape (3, 3).
    distance : float
        How far the eye is from the centre; the nearer, the stronger the perspective.
    """

    rotation: np.ndarray
    distance: float = 4.5

    @classmethod
    def facing(cls, points: np.ndarray, *, seed: int = 0, tries: int = 600) -> Camera:
        """Return the camera, of many drawn by `seed`, that sees points of shape (n, 3) furthest apart."""
        if len(points) < 2:
            return cls(rotation=np.eye(3))
        # Fewer tries for many points: all pairs of all tries are held at once.
        tries = max(1, min(tries, 2_000_000 // len(points) ** 2))
        random = np.random.default_rng(seed)
        turns, triangles = np.linalg.qr(random.standard_normal((tries, 3, 3)))
        turns *= np.sign(np.diagonal(triangles, axis1=1, axis2=2))[:, None]
        seen = np.stack([cls(rotation=turn).look(points)[0] for turn in turns])
        first, second = np.triu_indices(len(points), 1)
        closest = ((seen[:, first] - seen[:, second]) ** 2).sum(axis=-1).min(axis=1)
        return cls(rotation=turns[closest.argmax()])

    def look(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the places on the picture, shape (n, 2), and the nearness to the eye, -1 = far to 1 = near."""
        turned = points @ self.rotation
        depth = np.clip(turned[:, 2], -2.0, 0.8 * self.distance)
        return turned[:, :2] * (self.distance / (self.distance - depth))[:, None], np.clip(depth, -1.0, 1.0)
