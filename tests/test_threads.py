import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from ncapps.threads import map_in_threads


def test_results_come_in_order_whatever_the_threads():
    parts = list(range(40))
    for libraries in (None, ThreadpoolController()):
        assert list(map_in_threads(lambda part: part**2, parts, libraries)) == [part**2 for part in parts]


def test_the_libraries_have_one_thread_meanwhile_and_their_own_number_afterwards():
    np.ones((2, 2)) @ np.ones((2, 2))
    libraries = ThreadpoolController()
    before = [pool["num_threads"] for pool in libraries.info()]
    if max(before) == 1:
        pytest.skip("one thread is all there is")
    seen = list(map_in_threads(lambda part: (threading.get_ident(), libraries.info()), range(8), libraries))
    assert threading.get_ident() not in {thread for thread, _ in seen}
    # Libraries built on OpenMP keep a number for each thread, which is not the one that is set here.
    blas = [pool["num_threads"] for _, pools in seen for pool in pools if pool.get("threading_layer") == "pthreads"]
    assert set(blas) == {1}
    assert [pool["num_threads"] for pool in libraries.info()] == before


def test_an_error_comes_through_and_the_limit_goes():
    libraries = ThreadpoolController()
    before = [pool["num_threads"] for pool in libraries.info()]
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda part: 1 // part, [1, 0, 1], libraries))
    assert [pool["num_threads"] for pool in libraries.info()] == before
