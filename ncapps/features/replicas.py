"""One network in several threads, each with one thread of the matrix library and with images of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

Result = TypeVar("Result")

# Fewer images than this, and what a pass costs whatever its images shows.
_LEAST_IMAGES = 4


class Replicas:
    """Threads that share a network's weights and take a part of each batch, without a word between them.

    A network run by all threads of the matrix library waits at the end of every layer for the slowest, and leaves all
    but one idle where a layer is small; where other programs want the cores too, every such wait grows.

    Parameters
    ----------
    threads : int
        How many, from 1.

    Examples
    --------
    >>> replicas = Replicas(2)
    >>> torch.cat(replicas.map(lambda part: 2 * part, torch.arange(5), 3)).tolist()
    [0, 2, 4, 6, 8]
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "ncapps-replica", initializer=_use_one_thread)

    def map(self, function: Callable[[Tensor], Result], batch: Tensor, size: int) -> list[Result]:
        """Return `function` of each part of the batch, `size` rows a part, in order; the first error after all ended.

        Parameters
        ----------
        batch : Tensor
            Shape (images, ...).
        size : int
            Rows a part; the last may have fewer.
        """
        futures = [self._pool.submit(function, part) for part in batch.split(size)]
        wait(futures)
        return [future.result() for future in futures]

    def one(self, function: Callable[[], Result]) -> Result:
        """Return what the function gives in one of the threads."""
        future: Future[Result] = self._pool.submit(function)
        return future.result()


def replicas_for(batch_size: int) -> Replicas | None:
    """Return a replica for each of torch's threads, or None where there is one thread or batches are small.

    None, too, where a thread cannot be held to one thread of torch's: replicas would get in each other's way.

    Parameters
    ----------
    batch_size : int
        Images of a batch, of all replicas together.
    """
    threads = torch.get_num_threads()
    if threads == 1 or batch_size < _LEAST_IMAGES * threads:
        return None
    replicas = Replicas(threads)
    return replicas if replicas.one(torch.get_num_threads) == 1 else None


def _use_one_thread() -> None:
    # Torch sets a new thread's number when first asked for it. Its own setter would change other threads' too, but
    # OpenMP keeps a number for each thread, and that is the one torch reads.
    torch.get_num_threads()
    for library in ThreadpoolController().select(user_api="openmp").lib_controllers:
        library.set_num_threads(1)
