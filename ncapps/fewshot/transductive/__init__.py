"""Transductive methods: name a whole batch of images at once, from how they lie to one another.

Each is a function of one batch alone, `method(queries, prototypes, counts, **options)`, in the space that a metric
compares in: it returns assignment probabilities, shape (images, classes), and changes nothing, so that no answer
depends on an earlier call. Leading axes are episodes, handled side by side. The gain comes from the batch: an image's
answer depends on the images beside it, and a batch whose classes are not as balanced as a method takes them to be is
named worse than image by image.
"""

from collections.abc import Callable

import numpy as np

from ncapps.fewshot.transductive.bd_cspn import bd_cspn as bd_cspn
from ncapps.fewshot.transductive.laplacian import laplacian as laplacian
from ncapps.fewshot.transductive.sinkhorn import sinkhorn as sinkhorn

TRANSDUCTIVE: dict[str, Callable[..., np.ndarray]] = {
    "bd_cspn": bd_cspn,
    "laplacian": laplacian,
    "sinkhorn": sinkhorn,
}
"""Every transductive method by the name that `predict_batch` and YAML files call it."""
