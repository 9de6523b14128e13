"""`compression_page`: what pruning a network cost, what it kept, where it was cut, and how fast the rest is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ncapps.report.depth import plot_depth
from ncapps.report.grid import Grid
from ncapps.report.html import Page
from ncapps.report.parts import Figure, Table, Tile
from ncapps.report.tradeoff import plot_tradeoff
from ncapps.report.widths import plot_widths

Times = Mapping[int, Mapping[str, Any]]


def compression_page(
    small: Any, *, name: str = "", latency: Times | None = None, settings: Mapping[str, str] | None = None
) -> Page:
    """Return the report of a compressed network, ready for `write`.

    Parameters
    ----------
    small : Compressed
        What `compress` returns.
    name : str
        What the network is called.
    latency : mapping of batch size to mapping of network name to Latency, optional
        What `measure_latency` found; the first network of each is what the others are compared with.
    settings : mapping of str to str, optional
        How it was made, told at the end.
    """
    report, latency = small.report, latency or {}
    page = Page(
        "A smaller network",
        f"{report.macs_ratio:.1%} of the operations of {name or 'the network'} are left. {_kept(report)} Nothing was "
        "trained: channels whose work others can do were taken out, and what is left was fitted anew to what the "
        "network computed before.",
        footer=f"Pruned and repaired in {report.seconds:.0f} seconds on {report.images:,} images.",
    ).with_tiles(*_tiles(report, latency))
    page = page.with_section(
        "Operations and answers", *_front_words(report), figures=(_front(report),), tables=(_facts(small),)
    )
    page = page.with_section("Where it was cut", figures=(_widths(report),))
    if report.collapse_profile:
        page = _profile(page, report.collapse_profile)
    if latency:
        page = _latency(page, latency)
    if settings:
        page = page.with_section(
            "How it was made", tables=(Table(rows=tuple((k, v, "") for k, v in settings.items())),)
        )
    return page


def _kept(report: Any) -> str:
    if report.drop is None:
        return f"It answers as before on {report.agreement:.1%} of the images that it was fitted on."
    low, high = report.drop_interval
    points = f"{report.drop:.2f} points (95%: {low:.2f} to {high:.2f})"
    if report.held_out_accuracy_before is None:
        return f"On {report.held_out_images:,} new images {points} of the answers are others than before."
    return f"On {report.held_out_images:,} new images it loses {points} of accuracy."


def _tiles(report: Any, latency: Times) -> list[Tile]:
    tiles = [
        Tile(label="Operations left", value=f"{report.macs_ratio:.1%}", note=_from_to(report, "macs")),
        Tile(label="Parameters left", value=f"{report.params_ratio:.1%}", note=_from_to(report, "params")),
    ]
    if report.held_out_accuracy_after is not None:
        note = f"{report.held_out_accuracy_before:.1%} before, {report.held_out_images:,} new images"
        tiles.append(Tile(label="Accuracy", value=f"{report.held_out_accuracy_after:.1%}", note=note))
    new = report.held_out_agreement is not None
    alike = report.held_out_agreement if new else report.agreement
    count = report.held_out_images if new else report.images
    note = f"{count:,} {'new' if new else 'calibration'} images"
    tiles.append(Tile(label="Same answers as before", value=f"{alike:.1%}", note=note))
    if latency:
        batch, arms = next(iter(latency.items()))
        first, *others = arms.items()
        if others:
            fastest, times = max(others, key=lambda arm: arm[1].speed_up_over(first[1]))
            note = f"{fastest}, {_images(batch)} at a time"
            tiles.append(Tile(label="Times as fast", value=f"{times.speed_up_over(first[1]):.2f}", note=note))
    return tiles


def _from_to(report: Any, unit: str) -> str:
    before, after = getattr(report, f"{unit}_before"), getattr(report, f"{unit}_after")
    return f"{_short(before)} to {_short(after)}"


def _short(count: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return f"{count:g}"


def _quality(report: Any, point: Any) -> float:
    """Return the accuracy, or agreement, of one point of the front."""
    if point.drop is None:
        return point.agreement
    before = 1.0 if report.held_out_accuracy_before is None else report.held_out_accuracy_before
    return min(max(before - point.drop / 100, 0.0), 1.0)


def _measured(report: Any) -> str:
    if report.drop is None:
        return "same answers, calibration images"
    return "same answers, new images" if report.held_out_accuracy_before is None else "accuracy on new images"


def _front_words(report: Any) -> tuple[str, ...]:
    if len(report.front) > 1:
        return (f"{len(report.front)} sizes were tried, all from one pass over the calibration images.",)
    return ()


def _front(report: Any) -> Figure:
    points = [(point.macs_ratio, _quality(report, point)) for point in report.front]
    chosen = next((p for p, one in zip(points, report.front, strict=True) if one.chosen), None)
    accuracy = report.held_out_accuracy_before
    dense = (1.0, 1.0 if accuracy is None or report.drop is None else accuracy)
    return Figure(
        svg=plot_tradeoff(points, chosen, dense, measured=_measured(report)),
        alt=f"{_measured(report).capitalize()} against the share of the network's operations that is left.",
        caption="Operations are multiply-accumulates, the network's arithmetic for one image.",
        wide=False,
    )


def _facts(small: Any) -> Table:
    report, plan = small.report, small.plan
    rows = [
        ("Operations an image", f"{report.macs_after:,}", f"{report.macs_before:,} before"),
        ("Parameters", f"{report.params_after:,}", f"{report.params_before:,} before"),
        ("Layers made narrower", str(_narrower(report)), f"of {len(report.widths_before)} that can be"),
        ("Same answers", f"{report.agreement:.1%}", f"on {report.images:,} calibration images"),
    ]
    if report.latency_after_ms is not None:
        before = f"{report.latency_before_ms:.3g} before, in PyTorch"
        rows.append(("Milliseconds a pass", f"{report.latency_after_ms:.3g}", before))
    if report.drop is not None:
        low, high = report.drop_interval
        rows.append(("Points lost", f"{report.drop:.2f}", f"95%: {low:.2f} to {high:.2f}, on new images"))
    rows.append(("Channels chosen by", plan.importance, "repaired by least squares" if plan.repaired else "no repair"))
    if plan.classes is not None:
        rows.append(("Classes left", str(len(plan.classes)), "the others were cut off"))
    return Table(rows=tuple(rows))


def _narrower(report: Any) -> int:
    return sum(report.widths_after[name] < count for name, count in report.widths_before.items())


def _widths(report: Any) -> Figure:
    return Figure(
        svg=plot_widths(report.widths_before, report.widths_after),
        alt="Channels of each layer before and after, as bars.",
        caption="One bar a layer that can be cut, in the order in which they run; the number is what is left. "
        "The features keep their width.",
    )


def _profile(page: Page, profile: Any) -> Page:
    from ncapps.compression.collapse_profile import effective_depth

    marked = effective_depth(profile)
    cells = tuple(
        (str(place), one.layer, f"{one.channels:,}", f"{one.accuracy:.1%}", f"{one.quotient:.3g}",
         f"{one.effective_rank:.1f}")
        for place, one in enumerate(profile, 1)
    )  # fmt: skip
    columns = ("Place", "Read by", "channels", "nearest class mean", "spread", "effective rank")
    return page.with_section(
        "How the classes come apart",
        "What each block of the dense network is given, averaged over the image. The share of calibration images that "
        "lie nearest to the mean of their own class rises with the depth, and the spread within the classes falls "
        "against that between them: the features collapse.",
        _depth_words(profile, marked),
        figures=(
            Figure(
                svg=plot_depth(profile, marked),
                alt="Accuracy of the nearest class mean, spread, and effective rank of the class means by depth.",
            ),
        ),
        tables=(Grid(columns=columns, cells=cells, marked=str(marked + 1)),),
    )


def _depth_words(profile: Any, marked: int) -> str:
    if marked == len(profile) - 1:
        return f"Only at the end, in the input of {profile[marked].layer}, are they told apart as well as they will be."
    return (
        f"From place {marked + 1} on, the input of {profile[marked].layer}, the classes are told apart as well as at "
        "the end, to within a point."
    )


def _latency(page: Page, latency: Times) -> Page:
    cells = []
    for batch, arms in latency.items():
        first = next(iter(arms.values()))
        for name, times in arms.items():
            rate = 1e3 * batch / times.p50_ms
            cells.append(
                (name, str(batch), f"{times.p50_ms:.2f} ms", f"{times.p95_ms:.2f} ms", f"{rate:,.0f}",
                 f"{times.speed_up_over(first):.2f}")
            )  # fmt: skip
    columns = ("Network", "images at a time", "median", "95th percentile", "images a second", "times as fast")
    return page.with_section(
        "Time",
        "The networks took turns on this machine, each after a warm-up. Times as fast is the median over the turns, so "
        "that other work on the machine slows both.",
        tables=(Grid(columns=columns, cells=tuple(cells)),),
    )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
