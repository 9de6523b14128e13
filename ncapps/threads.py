"""Work in parts over threads, each with one thread of the matrix libraries: all of a part runs in parallel then."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

# Each thread in hand holds one part and its result.
_MOST_THREADS = 8
_LIMIT = threading.Lock()

Part = TypeVar("Part")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Part], Result], parts: Sequence[Part], libraries: ThreadpoolController | None
) -> Iterator[Result]:
    """Yield `function(part)` in the order of the parts, whatever the number of threads.

    A matrix product alone would use all cores, what comes before and after it but one; and libraries that keep a pool
    of threads each get in each other's way. Each thread therefore takes parts of its own and has the libraries to
    itself with one thread: measured on two cores, that is 1.7 times as fast.

    Parameters
    ----------
    libraries : ThreadpoolController, optional
        The libraries to hold to one thread, whose number of threads is then used here; None = no threads.
    """
    pools = libraries.info() if libraries else []
    threads = min(_MOST_THREADS, max((pool["num_threads"] for pool in pools), default=1))
    if libraries is None or threads == 1:
        yield from map(function, parts)
        return
    # The limit is the whole process's: two callers at once would restore each other's.
    with _LIMIT, libraries.limit(limits=1), ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for part in parts:
            waiting.append(pool.submit(function, part))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
