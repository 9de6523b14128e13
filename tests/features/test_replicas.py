import threading

import pytest
import torch

from ncapps.features.replicas import Replicas, replicas_for


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
def test_parts_come_back_in_order(rows):
    batch = torch.arange(rows)
    assert torch.equal(torch.cat(Replicas(2).map(lambda part: part * 10, batch, 2)), batch * 10)


def test_replicas_have_one_thread_and_others_keep_theirs(two_threads):
    replicas, other = replicas_for(8), []
    assert set(replicas.map(lambda _part: torch.get_num_threads(), torch.arange(8), 1)) == {1}
    assert torch.get_num_threads() == 2
    thread = threading.Thread(target=lambda: other.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert other == [2]


def test_parts_run_at_the_same_time():
    both = threading.Barrier(2, timeout=10)
    Replicas(2).map(lambda _part: both.wait(), torch.arange(2), 1)


def test_an_error_comes_after_all_parts_ended():
    done = []

    def fail_first(part):
        if int(part) == 0:
            raise RuntimeError("can't allocate memory")
        done.append(int(part))

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        Replicas(2).map(fail_first, torch.arange(6), 1)
    assert sorted(done) == [1, 2, 3, 4, 5]


def test_small_batches_and_one_thread_have_no_replicas(two_threads):
    assert replicas_for(7) is None
    assert replicas_for(8).threads == 2
    torch.set_num_threads(1)
    assert replicas_for(64) is None
