"""`Recognizer`: extractor, prototypes, detector and threshold in one object and one file."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncapps import persist
from ncapps.arrays import Label, native, sorted_names
from ncapps.errors import InputError
from ncapps.fewshot import PrototypeClassifier
from ncapps.ood import ETFDetector
from ncapps.predictions import FitReport, Prediction, Predictions

if TYPE_CHECKING:
    from ncapps.features import FeatureExtractor, Features

_logger = logging.getLogger(__name__)
_KIND, _VERSION = "recognizer", 2
_PARTS = ("backbone", "classifier", "detector")


class Recognizer:
    """Names images, says which are unknown, and learns new classes from a few images, in production.

    Parameters
    ----------
    extractor : FeatureExtractor
        The backbone, with everything that turns images into features.
    classifier : PrototypeClassifier
        Fitted on features of that extractor.
    detector : ETFDetector
        Fitted on the same features and calibrated on held-out ones.
    report : FitReport, optional
        How the two were fitted.

    Examples
    --------
    >>> from ncapps.features import Backbone, FeatureExtractor, open_images
    >>> digits = open_images("digits").select(range(500))
    >>> backbone = Backbone("cifar_resnet20", pretrained=False, preprocessing={"size": (8, 8)})
    >>> recognizer = Recognizer.fit(FeatureExtractor(backbone, progress=False), digits)
    >>> len(recognizer.predict(digits.select([0, 1])).rows)
    2
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        classifier: PrototypeClassifier,
        detector: ETFDetector,
        report: FitReport | None = None,
    ) -> None:
        self.extractor = extractor
        self.report = report
        self._parts = (classifier, detector)
        self._writing = threading.Lock()

    @classmethod
    def fit(
        cls,
        extractor: FeatureExtractor,
        data: Any,
        labels: Any = None,
        *,
        calibration: Any = None,
        reject_rate: float = 0.05,
        held_out: float = 0.2,
        metric: str = "mahalanobis",
        seed: int = 0,
    ) -> Recognizer:
        """Fit prototypes and detector; held-out images set threshold and temperature and tell the accuracy.

        Parameters
        ----------
        extractor : FeatureExtractor
            The network that gives the features.
        data : path, ImageSource or array
            What `open_images` takes, with a class name for each image.
        labels : array-like, optional
            The class names, where `data` does not hold them.
        calibration : path, ImageSource or array, optional
            Labelled images to calibrate on instead of a part of `data`: needed where the network was trained on `data`.
        reject_rate : float
            The share of known images that may be called unknown.
        held_out : float
            The part of each class that is held out where no `calibration` is given, between 0 and 1.
        metric : str
            That of the `PrototypeClassifier`; "plda" names more new classes where features are not collapsed.
        seed : int
            Fixes which images are held out.

        Raises
        ------
        InputError
            If labels are missing, a class has too few images to hold one out, too few are held out for the rate, or
            `calibration` holds a class that `data` does not.
        """
        from ncapps.features import split_by_class
        from ncapps.features.class_head import head_of_classes

        if not 0 < held_out < 1:
            raise InputError(f"held_out is the part of each class to hold out, between 0 and 1, but {held_out} came")
        features = _labelled(extractor.extract(data, labels))
        if calibration is None:
            fitted, kept = split_by_class(features.labels, (1 - held_out, held_out), seed)
            X, y, X_held, y_held = _rows(features, fitted) + _rows(features, kept)
            skipped = features.skipped
        else:
            extra = _of_classes(_labelled(extractor.extract(calibration)), features.classes)
            X, y, X_held, y_held = _rows(features) + _rows(extra)
            skipped = features.skipped + extra.skipped
        detector = ETFDetector().fit(X, y, head_of_classes(extractor.head, extractor.classes, features.classes))
        detector.calibrate(X_held, reject_rate)
        # Knobs, temperature and accuracy come from images not fitted; for use the prototypes take those in too.
        knobs = PrototypeClassifier(metric=metric).fit(X_held, y_held).knobs_
        first = PrototypeClassifier(metric, 1.0, knobs).fit(X, y).calibrate_temperature(X_held, y_held)
        classifier = PrototypeClassifier(metric=metric, temperature=first.temperature_, knobs=knobs)
        classifier.fit(np.concatenate([X, X_held]), np.concatenate([y, y_held]))
        report = FitReport(
            n_fitted=len(X),
            n_held_out=len(X_held),
            accuracy_held_out=float(np.mean(first.predict(X_held) == y_held)),
            reject_rate=reject_rate,
            skipped=tuple((entry.key, entry.reason) for entry in skipped),
        )
        return cls(extractor, classifier, detector, report)

    @property
    def classifier(self) -> PrototypeClassifier:
        """What names an image."""
        return self._parts[0]

    @property
    def detector(self) -> ETFDetector:
        """What says whether an image is known at all."""
        return self._parts[1]

    @property
    def classes(self) -> tuple[Label, ...]:
        """Names of all classes, sorted."""
        return tuple(native(name) for name in self.classifier.classes_)

    def predict(self, data: Any, *, top: int = 3) -> Predictions:
        """Name each image, with probability, p-value, and whether it is known at all.

        Parameters
        ----------
        data : path, ImageSource or array
            What `open_images` takes; labels are not looked at. One image's path is a source of one.
        top : int
            How many of the likeliest classes to list.
        """
        features = self.extractor.extract(data)
        skipped = tuple((entry.key, entry.reason) for entry in features.skipped)
        if not len(features.values):
            return Predictions(rows=(), skipped=skipped)
        # Both at once: a class that another thread adds meanwhile is in the whole answer or in no part of it.
        classifier, detector = self._parts
        probabilities = classifier.predict_proba(features.values)
        names = [native(name) for name in classifier.classes_]
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : max(top, 1)]
        p_values = detector.p_values(features.values)
        known = detector.predict(features.values) == 1
        rows = tuple(
            Prediction(
                key=key,
                name=names[order[i, 0]],
                probability=float(probabilities[i, order[i, 0]]),
                p_value=float(p_values[i]),
                known=bool(known[i]),
                nearest=tuple((names[c], float(probabilities[i, c])) for c in order[i]),
            )
            for i, key in enumerate(features.keys)
        )
        return Predictions(rows=rows, skipped=skipped)

    def add_class(self, name: Label, data: Any) -> Recognizer:
        """Add a class from a few images; neither the other classes nor the threshold move.

        Images that can't be read are logged as warnings, each with its key and the reason.

        Raises
        ------
        InputError
            If the name is taken, or no image could be read.
        """
        features = self.extractor.extract(data)
        if not len(features.values):
            reasons = "; ".join(f"{entry.key}: {entry.reason}" for entry in features.skipped[:3])
            raise InputError(f"no image of class {name!r} could be read ({reasons or 'none came'})")
        self._replace(lambda part: part.add_class(name, features.values))
        for entry in features.skipped:
            _logger.warning("class %r is added without %s: %s", name, entry.key, entry.reason)
        return self

    def remove_class(self, name: Label) -> Recognizer:
        """Remove a class from prototypes and detector; of an added one nothing is left.

        Raises
        ------
        InputError
            If the class is unknown, or the last one.
        """
        self._replace(lambda part: part.remove_class(name))
        return self

    def _replace(self, change: Callable[[Any], Any]) -> None:
        """Change copies of both parts, and put them in place at once, when neither has refused."""
        with self._writing:
            self._parts = tuple(change(copy.copy(part)) for part in self._parts)

    def save(self, path: str | Path) -> None:
        """Write everything, the network's weights too, to one safetensors file, atomically."""
        from ncapps.features.rebuild import backbone_recipe

        backbone = self.extractor.backbone
        weights = {name: value.detach().cpu().numpy() for name, value in backbone.model.state_dict().items()}
        states = {"classifier": self.classifier.state(), "detector": self.detector.state()}
        arrays = {f"backbone.{name}": value for name, value in weights.items()}
        arrays |= {f"{part}.{key}": value for part, state in states.items() for key, value in state[0].items()}
        header = {
            "backbone": backbone_recipe(backbone),
            "report": None if self.report is None else asdict(self.report),
            **{part: state[1] for part, state in states.items()},
        }
        persist.save(path, _KIND, _VERSION, arrays, header)

    @classmethod
    def load(cls, path: str | Path, *, model: Any = None, **extractor_settings: Any) -> Recognizer:
        """Read what `save` wrote.

        Parameters
        ----------
        model : nn.Module, optional
            The network, where it is not one of timm's and so can't be built from its name.
        extractor_settings
            Passed on to `FeatureExtractor`, such as device="cpu".

        Raises
        ------
        InputError
            If the file is missing, damaged or of another kind, or the network can't be built again.
        """
        from ncapps.features import FeatureExtractor
        from ncapps.features.rebuild import rebuild_backbone

        arrays, header = persist.load(path, _KIND, _VERSION, oldest=_VERSION)
        parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in _PARTS}
        for key, value in arrays.items():
            part, _, rest = key.partition(".")
            parts[part][rest] = value
        backbone = rebuild_backbone(header["backbone"], parts["backbone"], model, path)
        report = header["report"] and FitReport(
            **{**header["report"], "skipped": tuple(map(tuple, header["report"]["skipped"]))}
        )
        return cls(
            FeatureExtractor(backbone, **extractor_settings),
            PrototypeClassifier.restore(parts["classifier"], header["classifier"]),
            ETFDetector.restore(parts["detector"], header["detector"]),
            report,
        )


def class_name(recognizer: Recognizer, text: str) -> Label:
    """Read a class name typed by a person: a number where the recognizer's classes are numbers."""
    if isinstance(recognizer.classes[0], str):
        return text
    try:
        return int(text)
    except ValueError:
        raise InputError(f"the classes of this recognizer are numbers, but {text!r} came") from None


def _labelled(features: Features) -> Features:
    if features.labels is None:
        raise InputError(
            "the images have no class names; expected a folder (or zip) with one sub-folder a class, "
            "or a list with labels"
        )
    return features


def _of_classes(features: Features, classes: tuple[Label, ...]) -> Features:
    strange = sorted(set(sorted_names(features.classes, classes)) - set(classes))
    if strange:
        raise InputError(f"calibration holds {strange[0]!r}, a class that the data does not; use add_class for it")
    return features


def _rows(features: Features, chosen: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    assert features.labels is not None
    return features.values[chosen], features.labels[chosen]
