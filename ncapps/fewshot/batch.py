"""`Batch`: a whole batch of images named at once, on explicit call; what it finds in a batch is forgotten with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ncapps.arrays import as_features
from ncapps.errors import InputError
from ncapps.fewshot.metrics import metric_named
from ncapps.fewshot.transductive import TRANSDUCTIVE
from ncapps.plda import whiten
from ncapps.prototypes import unit_rows

if TYPE_CHECKING:
    from ncapps.fewshot.metric import Arrays
    from ncapps.fewshot.table import Table


class Batch:
    """What a `PrototypeClassifier` can do with images that come together."""

    metric: str
    n_features_in_: int
    frame_: Arrays
    table_: Table

    def predict_batch(self, X: Any, *, transductive: str, **options: Any) -> np.ndarray:
        """Name all images of a batch from how they lie to one another too, shape (images,); nothing is kept of it.

        An image's name depends on the images beside it. That helps where the batch holds many images of each class in
        proportions that the method expects, and hurts elsewhere: `predict` is for images that come one by one. Images
        and class means are compared as rows of unit length about the classes' centre, whitened where the metric
        whitens.

        Parameters
        ----------
        transductive : str
            A name in `ncapps.fewshot.transductive.TRANSDUCTIVE`: "bd_cspn", "laplacian" or "sinkhorn".
        **options
            The method's own, see there.

        Raises
        ------
        InputError
            If the method is not known, or an option is not one of its own or out of its range.

        Examples
        --------
        >>> from ncapps.fewshot import PrototypeClassifier
        >>> classifier = PrototypeClassifier().fit(np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4)
        >>> batch = np.array([[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.0, 0.1, 0.8]])
        >>> classifier.predict_batch(batch, transductive="laplacian").tolist()
        ['a', 'a', 'c']
        """
        check_is_fitted(self)
        if transductive not in TRANSDUCTIVE:
            known = ", ".join(TRANSDUCTIVE)
            raise InputError(f"transductive method {transductive!r} is not known; choose one of {known}")
        method = TRANSDUCTIVE[transductive]
        own = method.__kwdefaults__ or {}
        strange = sorted(set(options) - set(own))
        if strange:
            raise InputError(f"{transductive!r} has no option {strange[0]!r}; its options: {', '.join(own)}")
        X = as_features(X, self.n_features_in_, type(self).__name__)
        table = self.table_
        queries = metric_named(self.metric).prepare(self.frame_, X)
        assigned = method(*self._compared(queries, table), table.counts, **options)
        return table.names[assigned.argmax(axis=1)] if len(X) else table.names[:0]

    def _compared(self, queries: np.ndarray, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Return prepared features and class means in the space that the methods compare in."""
        learned, prototypes = table.learned, table.prototypes
        if "mean" in self.frame_:
            # The rows of "cl2n" are of unit length about a centre already, and its means are not normalized again.
            return queries, prototypes
        if "scale" in learned:
            return unit_rows(whiten(learned, queries)), unit_rows(whiten(learned, prototypes))
        center = learned.get("center", prototypes.mean(axis=0))
        return unit_rows(queries - center), unit_rows(prototypes - center)
