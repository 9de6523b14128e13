"""How fast each detector scores, against the bare products its formula needs and the usual ways of computing it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ncapps.errors import InputError
from ncapps.ood import DETECTORS
from ncapps.ood.detector import Detector
from ncapps.ood.faiss_indexes import load_faiss, using_threads
from ncapps.ood.knn import KNN
from ncapps.ood.mds import MDS

# What one image costs at least: rows and columns of each matrix that is multiplied with it. C classes, d width, r rank
# of the within-class covariance (here d), n fitted images, b images in NNGuide's bank, k sub-centroids. Other names
# have no bound told.
PRODUCTS: dict[str, tuple[str, ...]] = {
    # Two whiteners; vertices, directions, span and head; sub-centroids.
    "etf": ("dd", "dd", "Cd", "Cd", "Cd", "Cd", "kd"),
    **dict.fromkeys(("energy", "msp", "max_logit", "gen", "grad_norm", "she", "neco", "nci", "fdbd"), ("Cd",)),
    **dict.fromkeys(("ash_s", "dice", "react", "scale"), ("Cd",)),
    **dict.fromkeys(("mds", "mds++", "rmds", "rmds++"), ("rd", "Cr")),
    "kl_matching": ("Cd", "CC"),
    "vim": ("Cd", "dd"),
    "residual": ("dd",),
    "knn": ("nd",),
    "nn_guide": ("Cd", "bd"),
}


@dataclass(frozen=True, kw_only=True)
class DetectorSpeedSettings:
    """What to time: standard normal float32 features about class means, with a head of those means.

    Batches are scored at `images` x `width` with `classes`; single images there, and at `large_classes` x `large_width`
    fitted on `large_images`. A detector that would take longer than `seconds` a round over all images scores fewer.
    Batches are scored on `threads` threads, single images and the products beside them on `single_threads`: waking a
    second one takes longer than it saves. The class loop of the usual MDS is timed on `loop_classes` and scaled up.
    """

    detectors: tuple[str, ...] = tuple(DETECTORS)
    images: int = 50_000
    width: int = 512
    classes: int = 10
    large_images: int = 8_000
    large_width: int = 2_048
    large_classes: int = 1_000
    batch: int = 200
    loop_classes: int = 3
    singles: int = 200
    seconds: float = 10.0
    rounds: int = 5
    threads: int = 2
    single_threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = sorted(set(self.detectors) - set(DETECTORS))
        if unknown:
            raise InputError(f"detector {unknown[0]!r} is not known; choose from {', '.join(DETECTORS)}")
        for name, value in vars(self).items():
            if name not in ("detectors", "seed") and not value > 0:
                raise InputError(f"{name} must be above 0, but {value} came")


def measure_detector_speed(settings: DetectorSpeedSettings) -> dict[str, Any]:
    """Time all detectors in interleaved rounds.

    Returns
    -------
    dict
        `batch`: images a second; `one_image`: microseconds at the small size; `one_image_large` likewise at the large
        one, with the bare products' time and the ratio (1 = as fast as the products alone); `mds_against_loop` and
        `knn_against_faiss`. Every time has the median and the minimum over the rounds.
    """
    with threadpool_limits(settings.threads), using_threads(settings.threads):
        small = _Arena(settings, settings.images, settings.width, settings.classes)
        result: dict[str, Any] = {
            "batch": _batches(small, settings),
            "knn_against_faiss": _against_faiss(small, settings),
        }
        with threadpool_limits(settings.single_threads):
            singles = {name: small.single(name) for name in settings.detectors}
            result["one_image"] = _microseconds(interleaved(singles, settings.rounds))
        del small
        large = _Arena(settings, settings.large_images, settings.large_width, settings.large_classes)
        with threadpool_limits(settings.single_threads):
            result["one_image_large"] = _large(large, settings)
        result["mds_against_loop"] = _against_loop(large, settings)
    return result


def interleaved(arms: dict[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, Any]]:
    """Run every arm once a round, each round in another order, and return `seconds`, `median` and `minimum` of each."""
    names, seconds = [*arms], {name: [] for name in arms}
    for turn in range(rounds):
        # What one arm leaves of the caches and of the processor's warmth would otherwise always fall on the same next.
        for position in np.random.default_rng(turn).permutation(len(names)):
            seconds[names[position]].append(arms[names[position]]())
    return {
        name: {"seconds": taken, "median": float(np.median(taken)), "minimum": min(taken)}
        for name, taken in seconds.items()
    }


class _Arena:
    """Features of one size, and the detectors fitted to them."""

    def __init__(self, settings: DetectorSpeedSettings, images: int, width: int, classes: int) -> None:
        random = np.random.default_rng(settings.seed)
        self.settings, self.classes = settings, classes
        means = random.standard_normal((classes, width), dtype=np.float32)
        self.labels = np.arange(images) % classes
        self.features = means[self.labels] + random.standard_normal((images, width), dtype=np.float32)
        held_out = means[self.labels[:1000]] + random.standard_normal((min(images, 1000), width), dtype=np.float32)
        head = SimpleNamespace(weight=means, bias=np.zeros(classes))
        self.detectors: dict[str, Detector] = {
            name: DETECTORS[name]().fit(self.features, self.labels, head=head, X_val=held_out)
            for name in settings.detectors
        }

    def single(self, name: str) -> Callable[[], float]:
        """Return an arm: the median time of scoring one image, over many."""
        images = [self.features[row : row + 1] for row in range(min(self.settings.singles, len(self.features)))]
        return lambda: _median_time(self.detectors[name].score_samples, images)


def _batches(arena: _Arena, settings: DetectorSpeedSettings) -> dict[str, Any]:
    arms, scored = {}, {}
    for name, detector in arena.detectors.items():
        probe = arena.features[:500]
        each = _time(detector.score_samples, probe) / len(probe)
        scored[name] = min(settings.images, max(len(probe), int(settings.seconds / each)))
        arms[name] = lambda detector=detector, count=scored[name]: _time(detector.score_samples, arena.features[:count])
    times = interleaved(arms, settings.rounds)
    return {
        name: {
            "images": scored[name],
            "images_per_second": scored[name] / taken["median"],
            "images_per_second_at_best": scored[name] / taken["minimum"],
        }
        for name, taken in times.items()
    }


def _large(arena: _Arena, settings: DetectorSpeedSettings) -> dict[str, Any]:
    n, d = arena.features.shape
    sizes = {"C": arena.classes, "d": d, "r": d, "n": n}
    if "nn_guide" in arena.detectors:
        sizes["b"] = len(arena.detectors["nn_guide"].learned_["bank"])
    if "etf" in arena.detectors:
        sizes["k"] = len(arena.detectors["etf"].learned_["centres"])
    random = np.random.default_rng(settings.seed)
    images = [arena.features[row : row + 1] for row in range(min(settings.singles, n))]
    arms: dict[str, Callable[[], tuple[float, float]]] = {}
    for name in settings.detectors:
        # FAISS works in float32, all other detectors in float64.
        kind = np.float32 if name == "knn" else np.float64
        shapes = [(sizes[rows], sizes[columns]) for rows, columns in PRODUCTS.get(name, ())]
        pairs = [(random.random(shape).astype(kind), random.random(shape[1]).astype(kind)) for shape in shapes]
        arms[name] = partial(_side_by_side, arena.detectors[name].score_samples, images, pairs)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for _ in range(settings.rounds):
        for name, arm in arms.items():
            taken[name].append(arm())
    result = {}
    for name, pairs_of_times in taken.items():
        own, bare = 1e6 * np.array(pairs_of_times).T
        result[name] = {"median": float(np.median(own)), "minimum": float(own.min())}
        if name in PRODUCTS:
            result[name] |= {
                "products": list(PRODUCTS[name]),
                "products_median": float(np.median(bare)),
                "ratio": float(np.median(own / bare)),
            }
    return result


def _side_by_side(
    score: Callable[[Any], Any], images: list[np.ndarray], pairs: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """Return the median time of a score and of the bare products, one after the other image by image.

    Other work on the machine, and what it leaves of the caches, then hits both alike.
    """
    score(images[0])
    times = [(_time(score, image), _time(_multiply, pairs)) for image in images]
    own, bare = np.median(times, axis=0)
    return float(own), float(bare)


def _against_loop(arena: _Arena, settings: DetectorSpeedSettings) -> dict[str, Any]:
    """Time MDS against a loop over classes that multiplies with the whole precision matrix for each, in float32."""
    detector = MDS().fit(arena.features, arena.labels)
    # Which matrix it is makes no difference to the time.
    precision = np.eye(arena.features.shape[1], dtype=np.float32)
    batch, count = arena.features[: settings.batch], min(settings.loop_classes, arena.classes)

    def loop(X: np.ndarray) -> None:
        for mean in arena.features[:count]:
            offsets = X - mean
            (offsets @ precision @ offsets.T).diagonal()

    arms = {"mds": lambda: _time(detector.score_samples, batch), "loop": lambda: _time(loop, batch)}
    times = interleaved(arms, settings.rounds)
    scale = arena.classes / count
    return {
        **times,
        "batch": len(batch),
        "loop_timed_on_classes": count,
        "loop_extrapolated_to_classes": arena.classes,
        "speed_up": scale * times["loop"]["median"] / times["mds"]["median"],
        "speed_up_by_minima": scale * times["loop"]["minimum"] / times["mds"]["minimum"],
    }


def _against_faiss(arena: _Arena, settings: DetectorSpeedSettings) -> dict[str, Any]:
    """Time KNN against a bare flat index over the same bank, by batch and by single image."""
    known = KNN(index="flat").fit(arena.features, arena.labels)
    bank, k = known.index_.vectors, int(known.learned_["k"])
    bare = load_faiss().IndexFlatL2(bank.shape[1])
    bare.add(np.ascontiguousarray(bank))
    queries = np.ascontiguousarray(bank[: settings.batch])
    singles = [queries[row : row + 1] for row in range(min(settings.singles, len(queries)))]
    arms = {
        "knn_batch": lambda: _time(known.score_samples, queries),
        "faiss_batch": lambda: _time(lambda X: bare.search(X, k), queries),
        "knn_one": lambda: _median_time(known.score_samples, singles),
        "faiss_one": lambda: _median_time(lambda X: bare.search(X, k), singles),
    }
    times = interleaved(arms, settings.rounds)
    speed = {size: times[f"faiss_{size}"]["median"] / times[f"knn_{size}"]["median"] for size in ("batch", "one")}
    return {
        **times,
        "speed_batch": speed["batch"],
        "speed_one": speed["one"],
        "k": k,
        "bank": len(bank),
        "batch": len(queries),
    }


def _multiply(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for matrix, vector in pairs:
        np.dot(matrix, vector)


def _time(call: Callable[[Any], Any], argument: Any) -> float:
    start = time.perf_counter()
    call(argument)
    return time.perf_counter() - start


def _median_time(call: Callable[[Any], Any], arguments: list[Any]) -> float:
    call(arguments[0])
    return float(np.median([_time(call, argument) for argument in arguments]))


def _microseconds(times: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: 1e6 * taken[key] for key in ("median", "minimum")} for name, taken in times.items()}
