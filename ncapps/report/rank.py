"""`rank_page`: which backbone suits the user's images, on one page."""

from __future__ import annotations

from typing import Any

from ncapps.report.grid import Grid
from ncapps.report.html import Page
from ncapps.report.pareto import ParetoPoint, plot_pareto
from ncapps.report.parts import Figure, Table, Tile

_WHAT = {
    "held_out_classes": "Some classes are hidden, then added back from a few images each, and all compete: the "
    "harmonic mean of the accuracies on the classes that were there and on those that came back.",
    "loo_accuracy": "Share of images that a classifier names right from all the other images.",
    "loo_nll": "Mean log-loss of that classifier.",
    "knn": "Share of images that the nearest other images name right.",
    "logme": "Evidence that the features give for the labels; only differences count.",
    "h_score": "Spread between the classes against all spread.",
    "ncti": "Nearness to neural collapse, told relative to the other rows: it changes with them.",
    "nc1": "Spread within the classes against that between them.",
    "cdnv": "The same for each pair of classes.",
}


def rank_page(ranking: Any, data: str = "") -> Page:
    """Return the report of a ranking, ready for `write`.

    Parameters
    ----------
    ranking : BackboneRanking
        What `rank_backbones` returns.
    data : str
        What the images are called.
    """
    images = f"{ranking.n_images:,} images of {ranking.n_classes} classes" + (f" from {data}" if data else "")
    page = Page(
        "Which backbone suits these images?",
        f"{ranking.recommendation} Measured on {images}; nothing was trained, and each network saw the images in its "
        "own way.",
        footer="The intervals hold 95 %; networks are compared on the same draws, pair by pair.",
    ).with_tiles(*_tiles(ranking))
    page = page.with_section("Accuracy and cost", figures=_figures(ranking), tables=(_order(ranking),))
    return page.with_section("Every score", tables=(_scores(ranking), _columns(ranking), _settings(ranking)))


def _tiles(ranking: Any) -> list[Tile]:
    chosen, best = ranking.recommended, ranking.best
    tiles = [Tile(label="Recommended", value=chosen.name, note=_value(chosen, ranking.primary))]
    if best is not chosen:
        tiles.append(Tile(label="Best", value=best.name, note=_value(best, ranking.primary)))
    if chosen.milliseconds is not None:
        note = f"{chosen.megabytes:.1f} MB of weights"
        tiles.append(Tile(label="Time an image", value=f"{chosen.milliseconds:.3g} ms", note=note))
    return tiles


def _value(row: Any, primary: str) -> str:
    low, high = row.scores[primary].interval()
    return f"{row.scores[primary].value:.1%} ({max(low, 0):.1%} to {min(high, 1):.1%})"


def _figures(ranking: Any) -> tuple[Figure, ...]:
    rows = [row for row in ranking.rows if row.milliseconds is not None]
    if not rows:
        return ()
    points = [
        ParetoPoint(
            name=row.name,
            cost=row.milliseconds,
            value=row.scores[ranking.primary].value,
            low=row.scores[ranking.primary].interval()[0],
            high=row.scores[ranking.primary].interval()[1],
            on_front=row.on_front,
        )
        for row in rows
    ]
    return (
        Figure(
            svg=plot_pareto(points, ranking.recommended.name),
            alt="Accuracy against milliseconds an image, one dot a backbone; a line joins those that nothing beats.",
            caption="Up is better, left is cheaper. Blue: nothing is both as cheap and as good. Orange: recommended. "
            "The bars hold 95 %; they are wider than what tells two networks apart, for both see the same draws.",
            wide=True,
        ),
    )


def _order(ranking: Any) -> Grid:
    """Tell the order, how far each is behind the best on the same draws, and the costs."""
    header, cells = ranking.cells()
    score = len(ranking.columns) + 1
    lines = []
    for row, line in zip(ranking.rows, cells, strict=True):
        low, high = row.behind.interval()
        behind = f"{100 * row.behind.value:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        apart = "yes" if row.told_from_best else "no"
        lines.append((*line[:2], *(("", "") if row is ranking.best else (behind, apart)), *line[score:]))
    columns = (*header[:2], "behind the best, points", "told apart", *header[score:])
    return Grid(columns=columns, cells=tuple(lines), marked=ranking.recommended.name, caption="Best first")


def _scores(ranking: Any) -> Grid:
    header, cells = ranking.cells()
    score = len(ranking.columns) + 1
    columns, lines = header[:1] + header[2:score], tuple(line[:1] + line[2:score] for line in cells)
    return Grid(columns=columns, cells=lines, marked=ranking.recommended.name)


def _columns(ranking: Any) -> Table:
    from ncapps.transfer import SCORES

    rows = tuple((SCORES[name].title, "up" if SCORES[name].higher else "down", _WHAT[name]) for name in ranking.columns)
    return Table(rows=rows, header=("Column", "Better is", "What it says"))


def _settings(ranking: Any) -> Table:
    settings = ranking.settings
    return Table(
        caption="How it was measured",
        rows=(
            ("Images", f"{ranking.n_images:,}", f"{ranking.n_classes} of {ranking.classes_of_data} classes"),
            ("Shots", str(settings.shots), "images that a hidden class was added back from"),
            ("Draws", str(settings.draws), f"each hid {settings.hidden_share:.0%} of the classes"),
            ("Seed", str(settings.seed), "the same gives the same draws"),
            ("Unreadable", str(len(ranking.skipped)), "; ".join(f"{one.key}: {one.reason}" for one in ranking.skipped)),
        ),
    )
