"""How a ranking is made: how many images, how many shots, how many draws."""

from __future__ import annotations

from dataclasses import dataclass

from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """What all candidates of a ranking are measured with.

    Parameters
    ----------
    budget : int
        The most images that are looked at, drawn evenly over the classes; 0 = all.
    shots : int
        Images that a hidden class is added back from.
    hidden_share : float
        The part of the classes that is hidden in each draw.
    draws : int
        How often classes are hidden; two or more, so that there is an interval.
    neighbors : int
        Images that vote in the k-nearest-neighbour score.
    seed : int
        Of the choice of images and of all draws: every candidate sees the same ones.
    """

    budget: int = 2000
    shots: int = 5
    hidden_share: float = 0.3
    draws: int = 20
    neighbors: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("budget", 0), ("shots", 1), ("draws", 2), ("neighbors", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be {least} or more, but {getattr(self, name)} came")
        if not 0 < self.hidden_share < 1:
            raise InputError(f"hidden_share is a part of the classes between 0 and 1, but {self.hidden_share} came")
