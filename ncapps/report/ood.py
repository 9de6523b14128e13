"""`ood_page`: an OOD benchmark's tables and pictures on one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ncapps.report.grid import Grid
from ncapps.report.html import Page
from ncapps.report.ood_figures import plot_ranking, plot_roc_sets
from ncapps.report.parts import Figure, Table, Tile
from ncapps.report.quickstart_tables import provenance_tables
from ncapps.report.scores import plot_scores


def ood_page(results: Any) -> Page:
    """Return the report of an OOD benchmark, ready for `write`.

    Parameters
    ----------
    results : OODResults
        What `run_ood` returns, or anything with the same fields.
    """
    subject = results.settings.subject
    page = Page(
        "Known, or like nothing seen before?",
        "Each detector gives every image a score: high where it looks like the classes the network knows. AUROC is the "
        "chance that a known image scores higher than an unknown one; 1 is perfect, 0.5 is guessing. Nothing was "
        "fitted on the unknown images.",
        footer="The same figures, ready for programs, are in results.json and results.csv beside this page.",
    ).with_tiles(*_tiles(results.networks, subject))
    for result in results.networks:
        page = _network(page, result, subject, results.settings.level)
    return _provenance(page, results)


def _tiles(networks: Any, subject: str) -> Iterator[Tile]:
    for result in networks:
        for group, found in result.evaluation.comparison.items():
            if group == "development":
                continue
            yield Tile(
                label=f"{result.network}: {subject}, {group}",
                value=f"{found['auroc']:.4f}",
                note=f"best other: {found['best_other']} {found['best_other_auroc']:.4f}; lead "
                f"{_signed(found['difference'])}",
            )


def _network(page: Page, result: Any, subject: str, level: float) -> Page:
    evaluation, counts = result.evaluation, result.provenance["sets"]
    right = "" if evaluation.accuracy is None else f" The network names {evaluation.accuracy:.2%} of them right."
    known = (
        f"Fitted on {counts['fit']['images']:,} known images, calibrated on {counts['validation']['images']:,} others, "
        f"and reported on {counts['report']['images']:,} that neither saw.{right} The unknown sets: "
        + ", ".join(f"{name} ({group}, {counts[name]['images']:,})" for name, group in evaluation.groups.items())
        + "."
    )
    tables = (
        _comparison(evaluation),
        _detectors(evaluation, subject),
        _sets(evaluation, subject),
        _decisions(evaluation, subject),
        _refused(evaluation, subject),
        _failed(evaluation),
    )
    return page.with_section(
        f"{result.task}, {result.network}",
        known,
        f"A group's figure is the plain mean over its sets. Brackets hold {level:.0%} of the bootstrap's resamples; a "
        "lead is taken on the same resampled images for both detectors.",
        figures=tuple(_figures(evaluation, subject)),
        tables=tuple(table for table in tables if not isinstance(table, Grid) or table.cells),
    )


def _comparison(evaluation: Any) -> Grid:
    columns = ("Group", "AUROC", "Best other", "Its AUROC", "Lead", "Above zero")
    cells = tuple(
        (
            group,
            f"{found['auroc']:.4f}",
            found["best_other"],
            f"{found['best_other_auroc']:.4f}",
            _signed(found["difference"]),
            "yes" if found["difference"][1] > 0 else "no",
        )
        for group, found in evaluation.comparison.items()
    )
    return Grid(caption="Against the best other detector", columns=columns, cells=cells)


def _detectors(evaluation: Any, subject: str) -> Grid:
    groups = [group for group in evaluation.runs[0].groups if group != "development"]
    groups = groups or ["development"]
    columns = ("Detector", *(f"{group} AUROC" for group in groups), *(f"{group} FPR95" for group in groups))
    cells = tuple(
        (
            run.name,
            *(_bracketed(run.groups[group]["auroc"]) for group in groups),
            *(f"{run.groups[group]['fpr95_ood'][0]:.1%}" for group in groups),
            f"{run.fit_seconds:.2f} s",
            f"{len(run.scores['known']) / max(run.score_seconds, 1e-9):,.0f}",
        )
        for run in evaluation.runs
    )
    caption = "All detectors; FPR95 is the share of known images refused where 95% of the unknown ones are found"
    return Grid(caption=caption, columns=(*columns, "Fit", "Images/s"), cells=cells, marked=subject)


def _sets(evaluation: Any, subject: str) -> Grid:
    names = list(evaluation.groups)
    cells = tuple((run.name, *(f"{run.sets[name]['auroc'][0]:.4f}" for name in names)) for run in evaluation.runs)
    columns = ("Detector", *(f"{name} ({evaluation.groups[name]})" for name in names))
    return Grid(caption="AUROC on each unknown set", columns=columns, cells=cells, marked=subject)


def _decisions(evaluation: Any, subject: str) -> Grid:
    rows = evaluation.runs[0].decision
    rates = [row["reject_rate"] for row in rows]
    cells = tuple(
        (
            run.name,
            *(f"{row['refused']:.2%}" if "refused" in row else row["reason"] for row in run.decision),
            " / ".join(f"{row['splits_in_band']:.1%}" if "refused" in row else "-" for row in run.decision),
        )
        for run in evaluation.runs
    )
    bands = [f" ({row['band'][0]:.1%} to {row['band'][1]:.1%})" if "band" in row else "" for row in rows]
    asked = [f"at most {rate:.0%}{band}" for rate, band in zip(rates, bands, strict=True)]
    columns = ("Detector", *asked, "Splits in the band")
    caption = (
        "Known images refused, by the rate asked for, and where chance would put 95 of 100 measurements; last, at each "
        "rate, how many of the random splits into validation and reporting images lie there"
    )
    return Grid(caption=caption, columns=columns, cells=cells, marked=subject)


def _refused(evaluation: Any, subject: str) -> Grid:
    rows = [row for row in evaluation.runs[0].decision if "refused" in row]
    if not rows:
        return Grid(columns=(), cells=())
    rate = min((row["reject_rate"] for row in rows), key=lambda rate: abs(rate - 0.05))
    cells = []
    for run in evaluation.runs:
        row = next(row for row in run.decision if row["reject_rate"] == rate)
        cells.append((run.name, f"{row['refused']:.1%}", *(f"{share:.1%}" for share in row["unknown"].values())))
    columns = ("Detector", "known", *evaluation.groups)
    caption = f"Refused where at most {rate:.0%} of the known images may be: known ones by mistake, the others rightly"
    return Grid(caption=caption, columns=columns, cells=tuple(cells), marked=subject)


def _failed(evaluation: Any) -> Table | Grid:
    rows = tuple((name, reason, "") for name, reason in evaluation.failed.items())
    if not rows:
        return Grid(columns=(), cells=())
    return Table(caption="Detectors that could not run here", header=("Detector", "Reason", ""), rows=rows)


def _figures(evaluation: Any, subject: str) -> Iterator[Figure]:
    names = [run.name for run in evaluation.runs]
    groups = {g: [run.groups[g]["auroc"] for run in evaluation.runs] for g in evaluation.runs[0].groups}
    yield Figure(
        svg=plot_ranking(names, groups, subject),
        alt="A dot and an interval for each detector's AUROC, one panel a group of unknown sets.",
        caption="Dots: AUROC. Lines: bootstrap intervals. The dashed line is at the marked detector.",
    )
    runs = {run.name: run for run in evaluation.runs}
    best = [found["best_other"] for found in evaluation.comparison.values()]
    shown = list(dict.fromkeys(name for name in (subject, *best, *names[:1]) if name in runs))
    drawn = {name: runs[name].scores for name in shown if _finite(runs[name].scores)}
    if drawn:
        yield Figure(
            svg=plot_roc_sets(drawn, list(evaluation.groups), subject),
            alt="ROC curves of the marked detector and the best others, one panel an unknown set.",
            caption="The further to the upper left, the better. Beside the marked detector: the best other of each "
            "group.",
        )
    for name, scores in list(drawn.items())[:2]:
        threshold = runs[name].threshold
        if np.isfinite(threshold):
            yield Figure(
                svg=plot_scores(dict(scores), threshold),
                alt=f"Histograms of the scores that {name} gives to the known images and to each unknown set.",
                caption=f"Scores of {name}; the threshold was set on the calibration images.",
            )


def _provenance(page: Page, results: Any) -> Page:
    settings = {key: value for key, value in vars(results.settings).items() if key != "tasks"}
    cells = tuple(
        (f"{result.task}, {result.network}: {name}", f"{found['images']:,}", str(found["unreadable"]), hash_[:16])
        for result in results.networks
        for name, found in result.provenance["sets"].items()
        for hash_ in [found["fingerprint"]]
    )
    images = Grid(caption="Images", columns=("Set", "Read", "Unreadable", "Fingerprint"), cells=cells)
    return page.with_section(
        "What this depends on",
        "Everything that decides the figures above.",
        tables=(images, *provenance_tables(_without_empty(settings), results.environment)),
    )


def _without_empty(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value not in ([], {}, "")}


def _finite(scores: Mapping[str, np.ndarray]) -> bool:
    return all(np.isfinite(values).all() for values in scores.values())


def _bracketed(figure: list[float]) -> str:
    return f"{figure[0]:.4f} [{figure[1]:.3f}, {figure[2]:.3f}]"


def _signed(figure: list[float]) -> str:
    return f"{figure[0]:+.4f} [{figure[1]:+.4f}, {figure[2]:+.4f}]"
