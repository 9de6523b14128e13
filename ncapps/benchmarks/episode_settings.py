"""The settings of an episode benchmark, as `configs/fewshot/episodes.yaml` holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ncapps.benchmarks.episode_methods import EPISODE_METHODS
from ncapps.benchmarks.episodes import EpisodeSettings
from ncapps.config import did_you_mean
from ncapps.errors import InputError
from ncapps.features import BackboneSpec


@dataclass(frozen=True, kw_only=True)
class EpisodeSet:
    """One set of images, the network that reads them, and the classes that it is taken to know.

    Parameters
    ----------
    name : str
        What it is called in tables.
    images : str
        A zip or folder below `data`, one sub-folder a class.
    network : BackboneSpec
        The network; its checkpoint is a file below `data`.
    base : str
        Images of the base classes: a zip or folder below `data`. Episodes then come from all classes of `images`.
    base_share : float
        Without `base`: the share of the classes of `images` that are base; episodes come from the others.
    least_images : int
        Classes with fewer images come into no episode; the report tells how many.
    """

    name: str
    images: str
    network: BackboneSpec
    base: str = ""
    base_share: float = 0.5
    least_images: int = 1

    def __post_init__(self) -> None:
        if self.network.checkpoint is None and self.network.pretrained is False:
            raise InputError(f"the network of {self.name} has no weights; name a checkpoint, or say pretrained: auto")
        if not 0 < self.base_share < 1:
            raise InputError(f"base_share of {self.name} must be a share between 0 and 1, but {self.base_share} came")


@dataclass(frozen=True, kw_only=True)
class EpisodeBenchmarkSettings:
    """An episode benchmark: every method on the same episodes of every set.

    Parameters
    ----------
    sets : list of EpisodeSet
        What is measured.
    data, cache : str
        The folder that images and weights lie in, and the one that extracted features are kept in.
    methods : list of str
        Names in `EPISODE_METHODS`; all of them when empty.
    reference : str
        The method that differences are taken to.
    episodes, ways, queries, seed : int
        See `EpisodeSettings`; the seed also draws which classes are base.
    shots : tuple of int
        Each is measured by itself.
    concentrations : tuple of float
        Dirichlet concentrations of unbalanced queries; balanced ones are always measured.
    speed_episodes : int
        Episodes of random features, 512 wide, that euclidean and cosine are timed on; 0 = none.
    """

    sets: list[EpisodeSet] = field(default_factory=list)
    data: str = "../shared"
    cache: str = "runs/fewshot/features"
    methods: list[str] = field(default_factory=list)
    reference: str = "easyfsl SimpleShot"
    episodes: int = 1000
    ways: int = 5
    queries: int = 15
    shots: tuple[int, ...] = (1, 5)
    concentrations: tuple[float, ...] = (2.0,)
    seed: int = 0
    speed_episodes: int = 10_000

    def __post_init__(self) -> None:
        for name in [*self.methods, self.reference]:
            if name not in EPISODE_METHODS:
                raise InputError(f"there is no method {name!r}{did_you_mean(name, list(EPISODE_METHODS))}")
        if len({one.name for one in self.sets}) < len(self.sets):
            raise InputError("two sets have one name; give each its own")
        if not self.shots:
            raise InputError("shots is empty; write how many support images a class, as [1, 5]")
        self.draws()

    def draws(self) -> list[EpisodeSettings]:
        """Return what to draw of each set: every number of shots, balanced and at each concentration."""
        return [
            EpisodeSettings(
                episodes=self.episodes,
                ways=self.ways,
                shots=shots,
                queries=self.queries,
                concentration=concentration,
                seed=self.seed,
            )
            for shots in self.shots
            for concentration in (None, *self.concentrations)
        ]

    def compared(self) -> list[str]:
        """Return the methods to run, the reference among them."""
        chosen = self.methods or list(EPISODE_METHODS)
        return chosen if self.reference in chosen else [*chosen, self.reference]
