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
    def facing(cls, points: np.ndarray, *, seed: int = 0, tries: int = 1500) -> Camera:
        """Return the camera, of many drawn by `seed`, that sees points of shape (n, 3) furthest apart."""
        random = np.random.default_rng(seed)
        best, widest = cls(rotation=np.eye(3)), -1.0
        for _ in range(tries if len(points) > 1 else 0):
            turn, triangle = np.linalg.qr(random.standard_normal((3, 3)))
            camera = cls(rotation=turn * np.sign(np.diag(triangle)))
            seen, _ = camera.look(points)
            gaps = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
            closest = gaps[np.triu_indices(len(points), 1)].min()
            if closest > widest:
                best, widest = camera, closest
        return best

    def look(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the places on the picture, shape (n, 2), and the nearness to the eye, -1 = far to 1 = near."""
        turned = points @ self.rotation
        depth = np.clip(turned[:, 2], -2.0, 0.8 * self.distance)
        return turned[:, :2] * (self.distance / (self.distance - depth))[:, None], np.clip(depth, -1.0, 1.0)
