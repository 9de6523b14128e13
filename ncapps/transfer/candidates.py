"""What can be ranked: timm names, trained files, specs, modules, backbones, extractors, or features that are ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ncapps.errors import InputError
from ncapps.features import Backbone, BackboneSpec, FeatureExtractor, Features


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """One backbone of a ranking.

    Parameters
    ----------
    name : str
        What it is called in the table.
    open : callable
        Makes its extractor; called again rather than kept, so that one network at a time is in memory.
    features : Features or array-like, optional
        Its features, where they are ready; then there is nothing to open.
    """

    name: str
    open: Callable[[], FeatureExtractor] | None = None
    features: Any = None


def as_candidates(candidates: Any, *, download: bool = False, **extractor: Any) -> list[Candidate]:
    """Return the candidates by name, each network built once to see that it can be.

    Parameters
    ----------
    candidates : mapping from name to candidate, or sequence of candidates
        Each a timm name, a file that `ncapps train` wrote, a `BackboneSpec`, a module, a `Backbone`, a
        `FeatureExtractor`, or features. What has no name of its own (features) needs a mapping.
    download : bool
        Let timm fetch weights that are not on this machine.
    extractor
        Handed to `FeatureExtractor`, for candidates that are not extractors yet.

    Raises
    ------
    InputError
        If there is none, two have one name, one is of another kind, or its weights are not at hand.

    Examples
    --------
    >>> [one.name for one in as_candidates({"mine": [[0.0, 1.0]]})]
    ['mine']
    """
    if isinstance(candidates, (str, Path)) or not isinstance(candidates, Iterable):
        raise InputError(
            f"candidates are a list or a mapping from names, but {candidates!r:.80} came; put it in a list"
        )
    named = candidates.items() if isinstance(candidates, Mapping) else ((_name(one), one) for one in candidates)
    found = [_candidate(str(name), one, download, extractor) for name, one in named]
    if not found:
        raise InputError("a ranking needs one backbone or more, but none came")
    names = [one.name for one in found]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise InputError(f"two candidates are called {doubled!r}; give a mapping from names of their own")
    for one in found:
        if one.open is not None:
            one.open()
    return found


def _name(candidate: Any) -> str:
    if isinstance(candidate, (str, Path)):
        return str(candidate)
    if isinstance(candidate, FeatureExtractor):
        return candidate.backbone.tag
    if isinstance(candidate, Backbone):
        return candidate.tag
    if isinstance(candidate, BackboneSpec):
        return candidate.name
    if isinstance(candidate, nn.Module):
        return type(candidate).__name__
    raise InputError(
        f"a {type(candidate).__name__} has no name of its own, so candidates must be a mapping: {{'my features': ...}}"
    )


def _candidate(name: str, given: Any, download: bool, extractor: Mapping[str, Any]) -> Candidate:
    if isinstance(given, FeatureExtractor):
        return Candidate(name=name, open=lambda: given)
    if isinstance(given, (Backbone, nn.Module)):
        # Held by the caller in any case, so it is examined once.
        ready = FeatureExtractor(given, **extractor)
        return Candidate(name=name, open=lambda: ready)
    if isinstance(given, (str, Path, BackboneSpec)):
        return Candidate(name=name, open=lambda: FeatureExtractor(_build(given, download), **extractor))
    if isinstance(given, Features) or hasattr(given, "__array__") or isinstance(given, (list, tuple)):
        return Candidate(name=name, features=given)
    raise InputError(
        f"candidate {name!r} is a {type(given).__name__}; expected a timm name, a trained file, a module, a Backbone, "
        "a FeatureExtractor, or features"
    )


def _build(given: str | Path | BackboneSpec, download: bool) -> Backbone:
    if isinstance(given, BackboneSpec):
        return Backbone(given)
    if Path(given).is_file():
        from ncapps.training import load_trained

        return load_trained(given)
    return Backbone(str(given), download=download)
