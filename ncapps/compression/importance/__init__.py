"""Named importances: each says in which order an inner width's channels go. A new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ncapps.compression.elimination import Ranking
from ncapps.compression.importance.fisher import rank_by_fisher
from ncapps.compression.importance.l1 import rank_by_l1
from ncapps.compression.importance.obs import rank_by_obs
from ncapps.compression.importance.random_order import rank_at_random
from ncapps.compression.importance.wanda import rank_by_wanda
from ncapps.compression.moments import WidthMoments

Importance = Callable[[WidthMoments, np.random.Generator], Ranking]

IMPORTANCES: dict[str, Importance] = {
    "obs": rank_by_obs,
    "wanda": rank_by_wanda,
    "l1": rank_by_l1,
    "fisher": rank_by_fisher,
    "random": rank_at_random,
}
