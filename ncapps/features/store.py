"""Features on disk, in shards under one identity: killed at any time and run again, at most one shard is lost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ncapps import persist
from ncapps.arrays import Label, native, sorted_names
from ncapps.errors import InputError
from ncapps.features.records import Features, Skipped
from ncapps.features.source import ImageSource

_KIND, _VERSION = "feature-shard", 1


class FeatureStore:
    """A folder of features: `manifest.json`, `images.txt`, and a safetensors file a shard, with its ledger beside it.

    A shard is done when its file is there, and files appear whole. Any number of processes may fill one store, each
    with its own shards; nothing is shared between them but the folder.

    Parameters
    ----------
    folder : path
        Where the store lies or is to lie.
    shard_size : int
        Images a shard, for a new store; the most that a crash can cost.

    Examples
    --------
    >>> import tempfile
    >>> from ncapps.features import FeatureExtractor
    >>> extractor = FeatureExtractor("cifar_resnet20", pretrained=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     features = extractor.extract(np.zeros((5, 32, 32, 3), np.uint8), store=FeatureStore(folder, shard_size=2))
    ...     len(list(FeatureStore(folder).shards())), len(FeatureStore(folder).read())
    (3, 5)
    """

    def __init__(self, folder: str | Path, *, shard_size: int = 8192) -> None:
        if shard_size < 1:
            raise InputError(f"shard_size must be 1 image or more, but {shard_size} came")
        self.folder = Path(folder)
        self.shard_size = shard_size

    @property
    def manifest(self) -> dict[str, Any]:
        """What the store holds: its identity, the number of images, and the shard size.

        Raises
        ------
        InputError
            If there is no store, or its manifest is damaged.
        """
        path = self.folder / "manifest.json"
        if not path.is_file():
            raise InputError(f"{self.folder} holds no features (no manifest.json); was extraction started there?")
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            return {name: manifest[name] for name in ("identity", "images", "shard_size", "version")}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged ({error}); was it edited?") from None

    def begin(self, identity: Mapping[str, Any], source: ImageSource, *, alone: bool = True) -> None:
        """Start the store, or go on with it if it holds the same thing.

        Parameters
        ----------
        identity : mapping
            Everything that the features depend on; JSON-able.
        source : ImageSource
            The images.
        alone : bool
            No other process fills this store now, so that what a killed one left half-written may go.

        Raises
        ------
        InputError
            If the folder holds features of another identity, or other files.
        """
        wanted = json.loads(json.dumps(dict(identity)))
        if (self.folder / "manifest.json").exists():
            self._compare(wanted)
            self.shard_size = self.manifest["shard_size"]
        else:
            if self.folder.exists() and any(not entry.name.endswith(".tmp") for entry in self.folder.iterdir()):
                if not (self.folder / "images.txt").is_file():
                    raise InputError(
                        f"{self.folder} is not empty and holds no features; name a new folder for the store"
                    )
            persist.write_text(self.folder / "images.txt", "".join(f"{key}\n" for key in source.keys))
            manifest = {"version": _VERSION, "identity": wanted, "images": len(source), "shard_size": self.shard_size}
            persist.write_text(self.folder / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        if alone:
            for leftover in self.folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)

    def _compare(self, wanted: dict[str, Any]) -> None:
        there = self.manifest["identity"]
        for field in sorted({*there, *wanted}):
            if there.get(field) != wanted.get(field):
                raise InputError(
                    f"{self.folder} holds features of another {field} ({_short(there.get(field))}, now "
                    f"{_short(wanted.get(field))}); name another folder, or delete this one to start afresh"
                )

    def missing(self, worker: int = 0, of_workers: int = 1) -> list[int]:
        """Return the numbers of the shards that are still to be done; of this worker's share, where there are several.

        Raises
        ------
        InputError
            If the worker's number is not below the number of workers.
        """
        return [shard for shard in self.share(worker, of_workers) if not self._path(shard).is_file()]

    def share(self, worker: int = 0, of_workers: int = 1) -> list[int]:
        """Return the numbers of all shards that fall to one of several workers: worker, worker + of_workers, ..."""
        if of_workers < 1 or not 0 <= worker < of_workers:
            raise InputError(f"worker numbers go from 0 to workers - 1, but worker {worker} of {of_workers} came")
        manifest = self.manifest
        return list(range(worker, -(-manifest["images"] // manifest["shard_size"]), of_workers))

    def positions(self, shard: int) -> range:
        """Return the positions in the source of a shard's images."""
        manifest = self.manifest
        start = shard * manifest["shard_size"]
        return range(start, min(start + manifest["shard_size"], manifest["images"]))

    def write(self, shard: int, features: Features) -> None:
        """Write one shard: its ledger first, then its features, so that a shard that is there is complete."""
        ledger = self._path(shard).with_suffix(".skipped.jsonl")
        if features.skipped:
            lines = [json.dumps({"key": skip.key, "reason": skip.reason}) for skip in features.skipped]
            persist.write_text(ledger, "\n".join(lines) + "\n")
        else:
            ledger.unlink(missing_ok=True)
        arrays = {"features": features.values}
        if features.logits is not None:
            arrays["logits"] = features.logits
        labels = None if features.labels is None else [native(label) for label in features.labels]
        header = {"shard": shard, "identity": self._identity_hash(), "keys": list(features.keys), "labels": labels}
        persist.save(self._path(shard), _KIND, _VERSION, arrays, header)

    def shards(self, worker: int = 0, of_workers: int = 1) -> Iterator[Features]:
        """Yield the store's features shard by shard, in the order of the images.

        Raises
        ------
        InputError
            If a shard is missing, damaged, or comes from another store.
        """
        missing, share = self.missing(worker, of_workers), self.share(worker, of_workers)
        if missing:
            raise InputError(
                f"{len(missing)} of {len(share)} shards are missing in {self.folder}, the first is {missing[0]}; "
                "run the extraction again, it goes on where it stopped"
            )
        for shard in share:
            yield self._load(shard)

    def read(self, worker: int = 0, of_workers: int = 1) -> Features:
        """Return all features as one table; see `shards` for what is larger than memory."""
        return join(list(self.shards(worker, of_workers)))

    def erase_class(self, name: Label) -> int:
        """Erase a class's rows from every shard that is there, and return how many went.

        Each shard appears whole in its new form: killed at any time and run again, the rest goes. The images stand in
        the ledger as erased, so that no extraction brings them back. No other process may fill the store meanwhile.

        Raises
        ------
        InputError
            If there is no store, its images have no labels or labels of another type, or a shard is damaged.

        Examples
        --------
        >>> import tempfile
        >>> from ncapps.features import FeatureExtractor
        >>> extractor = FeatureExtractor("cifar_resnet20", pretrained=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = FeatureStore(folder)
        ...     images = np.zeros((3, 32, 32, 3), np.uint8)
        ...     _ = extractor.extract(images, ["cat", "dog", "cat"], store=store)
        ...     store.erase_class("cat"), len(store.read())
        (2, 1)
        """
        name, erased = native(name), 0
        for shard in self.share():
            if not self._path(shard).is_file():
                continue
            features = self._load(shard)
            if features.labels is None:
                raise InputError(f"the images in {self.folder} have no class names, so {name!r} can't be erased there")
            sorted_names(features.labels, [name])
            going = features.labels == name
            if going.any():
                self.write(shard, _without(features, going, f"erased with class {name!r}"))
                erased += int(going.sum())
        for leftover in self.folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        return erased

    def _load(self, shard: int) -> Features:
        path = self._path(shard)
        arrays, header = persist.load(path, _KIND, _VERSION)
        if header["identity"] != self._identity_hash() or header["shard"] != shard:
            raise InputError(f"{path} belongs to another store; delete it and run the extraction again")
        ledger = path.with_suffix(".skipped.jsonl")
        lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.is_file() else []
        return Features(
            values=arrays["features"],
            keys=tuple(header["keys"]),
            logits=arrays.get("logits"),
            labels=None if header["labels"] is None else np.array(header["labels"]),
            skipped=tuple(Skipped(**json.loads(line)) for line in lines),
        )

    def _identity_hash(self) -> str:
        manifest = self.manifest
        text = json.dumps([manifest["identity"], manifest["shard_size"]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _path(self, shard: int) -> Path:
        return self.folder / f"shard-{shard:05d}.safetensors"


def join(parts: list[Features]) -> Features:
    """Return several tables of features as one, in their order."""
    filled = [part for part in parts if len(part)] or parts[:1]
    if not filled:
        return Features(values=np.zeros((0, 0), np.float32), keys=())
    if len(parts) == 1:
        return parts[0]
    first = filled[0]
    return Features(
        values=np.concatenate([part.values for part in filled]),
        keys=tuple(key for part in filled for key in part.keys),
        logits=None if first.logits is None else np.concatenate([p.logits for p in filled if p.logits is not None]),
        labels=None if first.labels is None else np.concatenate([p.labels for p in filled if p.labels is not None]),
        skipped=tuple(skip for part in parts for skip in part.skipped),
    )


def _without(features: Features, going: np.ndarray, reason: str) -> Features:
    keys = {key for key, gone in zip(features.keys, going, strict=True) if gone}
    # Killed between the ledger and the shard, an earlier run has told of them already.
    ledger = [skip for skip in features.skipped if skip.key not in keys]
    return Features(
        values=features.values[~going],
        keys=tuple(key for key in features.keys if key not in keys),
        logits=None if features.logits is None else features.logits[~going],
        labels=None if features.labels is None else features.labels[~going],
        skipped=(*ledger, *(Skipped(key=key, reason=reason) for key in features.keys if key in keys)),
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:28] + "..." + text[-28:]
