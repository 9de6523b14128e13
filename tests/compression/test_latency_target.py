"""Laws of the target in milliseconds, with a clock that is made up; and one pass with a real one."""

import itertools
import math

import pytest
import torch
from compression_nets import TinyResNet, randomise_norms
from latency_clock import FIXED_MS, MadeUpClock, smooth_ms, stepped_ms

from ncapps.compression import compress, load_compressed, stopwatch
from ncapps.compression.calibration import gather
from ncapps.compression.latency import Latency
from ncapps.compression.latency_target import STEPS, largest_share, within_latency
from ncapps.compression.preparation import prepare
from ncapps.errors import InputError

IMAGES = torch.randn(24, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def build(channels=32, blocks=2):
    return randomise_norms(TinyResNet(blocks=blocks, channels=channels)).eval()


@pytest.fixture(scope="module")
def ready():
    calibration = gather(IMAGES, None, limit=99, batch_size=24, seed=0)
    return prepare(build(), calibration, example=None, time_limit=60, progress=False)


@pytest.fixture(scope="module")
def rankings(ready):
    return ready.rank("obs", 0)


def network_of(goal, rankings, allocation="loss"):
    kept = goal.prepared.choose(rankings, goal.share, unit="latency", allocation=allocation)
    return goal.prepared.cut(kept), [len(channels) for channels in kept]


def time_of(network):
    return smooth_ms(network) + FIXED_MS


@pytest.mark.parametrize("allocation", ["loss", "uniform"])
@pytest.mark.parametrize("fraction", [0.9, 0.6, 0.3])
def test_the_target_is_met_closely(ready, rankings, fraction, allocation):
    dense, clock = time_of(ready.dense), MadeUpClock()
    wanted = FIXED_MS + fraction * (dense - FIXED_MS)
    goal = within_latency(ready, rankings, wanted, allocation=allocation, clock=clock)
    small, _ = network_of(goal, rankings, allocation)
    assert goal.before_ms == pytest.approx(dense)
    assert wanted - (dense - FIXED_MS) * 2 ** (1 - STEPS) <= time_of(small) <= wanted
    layers = sum(2 + len(width.coupled) for width in ready.probe.widths)
    assert clock.asked <= 1 + layers + 1 + STEPS


def test_less_time_never_keeps_more_channels(ready, rankings):
    dense = time_of(ready.dense)
    kept = [
        network_of(within_latency(ready, rankings, wanted, clock=MadeUpClock()), rankings)[1]
        for wanted in FIXED_MS + (dense - FIXED_MS) * torch.linspace(0.25, 0.95, 8).double().numpy()
    ]
    assert all(a <= b for low, high in itertools.pairwise(kept) for a, b in zip(low, high, strict=True))
    assert kept[0] != kept[-1]


def test_where_time_goes_in_steps_no_channel_is_cut_for_nothing(ready, rankings):
    dense = stepped_ms(ready.dense) + FIXED_MS
    goal = within_latency(ready, rankings, FIXED_MS + 0.8 * (dense - FIXED_MS), clock=MadeUpClock(stepped_ms))
    small, counts = network_of(goal, rankings)
    assert sorted(counts) == [16, 32]
    assert stepped_ms(small) + FIXED_MS < dense


def test_a_machine_that_is_slow_now_and_then_changes_nothing(ready, rankings):
    """All runs of a round are slowed alike, so that their ratio tells the truth."""
    wanted = 0.5 * (time_of(ready.dense) + FIXED_MS)
    steady = within_latency(ready, rankings, wanted, clock=MadeUpClock())
    passes = itertools.count()

    def clock(arms, *, seconds):
        times = MadeUpClock()(arms, seconds=seconds)
        slow = len(arms) == 2 and next(passes) % 3 == 2
        return [Latency(times_ms=tuple(3 * ms for ms in one.times_ms)) for one in times] if slow else times

    busy = within_latency(ready, rankings, wanted, clock=clock)
    assert next(passes) > 3
    assert (busy.share, busy.before_ms) == (steady.share, steady.before_ms)


@pytest.mark.parametrize("images", [1, 5])
def test_the_pass_has_as_many_images_as_asked(ready, rankings, images):
    seen = set()

    def clock(arms, *, seconds):
        seen.update(len(inputs) for _, inputs in arms)
        return MadeUpClock()(arms, seconds=seconds)

    goal = within_latency(ready, rankings, 0.7 * time_of(ready.dense), images=images, clock=clock)
    assert seen == {images} == {len(goal.batch)}


def test_out_of_reach_is_one_line_with_both_times(ready, rankings):
    floor = [range(width.channels - len(one.order)) for width, one in zip(ready.probe.widths, rankings, strict=True)]
    dense, least = time_of(ready.dense), time_of(ready.cut(floor))
    words = (
        rf"latency_ms=0.5 is out of reach: a pass takes {dense:.3g} ms dense and {least:.3g} ms with every inner width "
        rf"at its least \(1 image, cpu, \d+ threads of torch\); ask for {math.ceil(least * 100) / 100:g} or more"
    )
    with pytest.raises(InputError, match=words) as caught:
        within_latency(ready, rankings, 0.5, clock=MadeUpClock())
    assert "\n" not in str(caught.value)
    assert within_latency(ready, rankings, least + 1e-9, clock=MadeUpClock()).share > 0


def test_what_the_dense_network_meets_is_no_target(ready, rankings):
    with pytest.raises(InputError, match=r"latency_ms=1000 is met by the dense network, which takes \d+.* ms .*less"):
        within_latency(ready, rankings, 1000, images=2, clock=MadeUpClock())


def test_the_unit_needs_a_table(ready, rankings):
    with pytest.raises(InputError, match="the layers were not timed"):
        ready.choose(rankings, 0.5, unit="latency")


@pytest.mark.parametrize("edge", [0.1, 0.37, 0.999])
def test_bisection_comes_from_below_within_its_steps(edge):
    log = []
    found = largest_share(lambda share: log.append(share) or 100 * share, 100 * edge, 0.05)
    assert edge - 0.95 * 2.0**-STEPS - 0.01 <= found <= edge
    assert len(log) <= STEPS


def made_up(monkeypatch):
    monkeypatch.setattr(stopwatch, "time_modules", MadeUpClock())


def test_compress_meets_it_and_reports_it(monkeypatch, tmp_path):
    made_up(monkeypatch)
    model = build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wanted = 0.7 * time_of(model)
    small = compress(model, IMAGES, latency_ms=wanted, progress=False)
    assert time_of(small.model) == pytest.approx(small.report.latency_after_ms)
    assert 0.95 * wanted < small.report.latency_after_ms <= wanted
    assert small.report.latency_before_ms == pytest.approx(time_of(model))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    small.save(tmp_path / "small")
    assert load_compressed(tmp_path / "small", build()).report == small.report


def test_a_network_that_loses_too_much_is_given_up_for_a_slower_one(monkeypatch):
    made_up(monkeypatch)
    model = build()
    with torch.no_grad():
        model.head.bias -= model(IMAGES).mean(dim=0)
        labels = model(IMAGES).argmax(dim=1)
    assert len(labels.unique()) > 2
    wanted = 0.3 * time_of(model)
    small = compress(
        model, IMAGES, latency_ms=wanted, max_drop=2.0, held_out=(IMAGES, labels), repair=False, progress=False
    )
    assert small.report.drop <= 2.0
    assert len(small.report.front) > 1
    assert small.report.latency_after_ms > wanted


def test_without_the_target_nothing_is_timed(monkeypatch):
    monkeypatch.setattr(stopwatch, "time_modules", None)
    report = compress(build(), IMAGES, macs=0.7, progress=False).report
    assert (report.latency_before_ms, report.latency_after_ms) == (None, None)


def test_a_report_from_before_the_target_is_read(tmp_path):
    from ncapps import persist
    from ncapps.compression.result import KIND, VERSION

    compress(build(), IMAGES, macs=0.7, progress=False).save(tmp_path / "new")
    arrays, header = persist.load(tmp_path / "new", KIND, VERSION)
    del header["report"]["latency_before_ms"], header["report"]["latency_after_ms"]
    persist.save(tmp_path / "old", KIND, VERSION, arrays, header)
    assert load_compressed(tmp_path / "old", build()).report.latency_after_ms is None


def test_a_real_clock_runs_through(monkeypatch):
    """What it finds is the machine's affair: only that it is a time, of a network that was cut."""
    real = stopwatch.time_modules
    monkeypatch.setattr(stopwatch, "time_modules", lambda arms, *, seconds: real(arms, seconds=0.01))
    model = build(channels=64)
    with torch.inference_mode():
        dense = real([(model, IMAGES[:1])], seconds=0.1)[0]
    try:
        small = compress(model, IMAGES, latency_ms=0.8 * min(dense.times_ms), repair=False, progress=False)
    except InputError as error:
        # On a busy machine the smallest one may seem too slow, or the dense one fast enough.
        assert "latency_ms=" in str(error)  # noqa: PT017
    else:
        assert small.report.macs_ratio <= 1
        assert small.report.latency_before_ms > 0
        assert small.report.latency_after_ms > 0
