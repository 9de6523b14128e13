"""What a backbone is truly worth on some images: a linear probe's accuracy, and a few-shot classifier's."""

from __future__ import annotations

import warnings

import numpy as np

from ncapps.arrays import native
from ncapps.benchmarks.metrics import accuracy, harmonic_mean
from ncapps.features import Features, split_by_class
from ncapps.fewshot import PrototypeClassifier
from ncapps.transfer import RankSettings
from ncapps.transfer.held_out_classes import draws

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def linear_probe(learned: Features, asked: Features, seed: int = 0) -> float:
    """Return the accuracy on `asked` of logistic regression fitted to `learned`, features standardised.

    Its strength is chosen on three tenths of `learned`, then all of it is fitted.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.asarray(learned.labels)
    fit, held = split_by_class(labels, (0.7, 0.3), seed)

    def right(strength: float, rows: np.ndarray, values: np.ndarray, truth: np.ndarray) -> float:
        model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            # All components: the penalty sees no difference, and wide features of few images take far less time.
            fitted = make_pipeline(StandardScaler(), PCA(svd_solver="full"), model).fit(
                learned.values[rows], labels[rows]
            )
        return accuracy(fitted.predict(values), truth)

    chosen = max(_STRENGTHS, key=lambda one: right(one, fit, learned.values[held], labels[held]))
    return right(chosen, np.arange(len(labels)), asked.values, np.asarray(asked.labels))


def few_shot(learned: Features, asked: Features, settings: RankSettings, metric: str) -> float:
    """Return the harmonic mean of known and new accuracy on `asked`, new classes added from shots of `learned`.

    The mean over draws of hidden classes and shots; accuracies are means over classes.
    """
    names, codes = np.unique(np.asarray(learned.labels), return_inverse=True)
    truth = np.asarray(asked.labels)
    found = []
    for draw in draws(codes, settings):
        known = np.flatnonzero(~np.isin(codes, draw.hidden))
        classifier = PrototypeClassifier(metric=metric, temperature=1.0)
        classifier.fit(learned.values[known], names[codes[known]])
        for code in draw.hidden:
            rows = draw.shots[codes[draw.shots] == code]
            classifier.add_class(native(names[code]), learned.values[rows])
        named = classifier.predict(asked.values)
        each = np.array([accuracy(named[truth == name], truth[truth == name]) for name in names])
        hidden = np.isin(np.arange(len(names)), draw.hidden)
        found.append(harmonic_mean(float(each[~hidden].mean()), float(each[hidden].mean())))
    return float(np.mean(found))
