"""`quickstart_page`: what `ncapps quickstart` found, told to a reader who has never heard of neural collapse."""

from __future__ import annotations

from typing import Any

import matplotlib.figure
import numpy as np

from ncapps.report.canvas import to_svg
from ncapps.report.confusion import plot_confusion
from ncapps.report.curves import plot_collapse
from ncapps.report.gallery import plot_gallery
from ncapps.report.geometry import geometry_figure
from ncapps.report.html import Page
from ncapps.report.parts import Figure, Tile
from ncapps.report.quickstart_tables import (
    added_table,
    collapse_table,
    percent,
    provenance_tables,
    pruning_table,
    read,
    unknown_table,
)
from ncapps.report.roc import plot_roc
from ncapps.report.scores import plot_scores
from ncapps.report.tradeoff import plot_tradeoff


def quickstart_page(run: Any) -> Page:
    """Return the report of one quickstart run, ready for `write`.

    Parameters
    ----------
    run : object
        What `run_quickstart` returns, or anything with the same fields.

    Raises
    ------
    InputError
        If a headline figure is missing from `results`, or a picture's data is not what it has to be.
    """
    page = Page(
        "One network, three more jobs",
        "A small network learned the handwritten digits 0 to 7 until it collapsed: every image of a digit now lands "
        "near one point. That order was then put to work, without training anything again, to learn two new digits "
        "from five images each, to say “unknown”, and to make the network smaller.",
        footer=f"Written by ncapps in a run of {read(run.results, 'seconds'):.0f} seconds. The same figures, ready for "
        "programs, are in results.json beside this page.",
    ).with_tiles(*_tiles(run.results))
    for add in (_answers, _geometry, _collapse, _added, _unknown, _pruning, _provenance):
        page = add(page, run)
    return page


def quickstart_picture(run: Any) -> matplotlib.figure.Figure:
    """Return the geometry of a quickstart run as a matplotlib figure, for `save_png`."""
    return geometry_figure(
        np.concatenate([run.features, run.added_features]),
        np.concatenate([run.labels, run.added_labels]),
        simplex_vertices=run.vertices,
        unknown=run.unknown_features,
        added=tuple(np.unique(run.added_labels).tolist()),
    )


def _tiles(results: dict[str, Any]) -> tuple[Tile, ...]:
    rate = read(results, "false_alarm_rate")
    return (
        Tile(
            label="Known digits named right", value=percent(read(results, "accuracy_known")), note="0 to 7, new images"
        ),
        Tile(
            label="New digits named right",
            value=percent(read(results, "accuracy_added")),
            note="8 and 9, from five images each, among all ten",
        ),
        Tile(
            label="Unknown told from known",
            value=f"{read(results, 'ood_auroc'):.3f}",
            note="AUROC: 1 is perfect, 0.5 is guessing",
        ),
        Tile(
            label="False alarms",
            value=percent(read(rate, "measured")),
            note=f"known images refused; asked for at most {100 * read(rate, 'target'):g}%",
        ),
        Tile(
            label=f"Accuracy at {read(results, 'macs_ratio'):.0%} of the work",
            value=percent(read(results, "accuracy_pruned")),
            note="after pruning, without retraining",
        ),
    )


def _answers(page: Page, run: Any) -> Page:
    picture = Figure(
        svg=plot_gallery(*run.gallery),
        alt="A strip of small images, each with the recognizer's answer below it.",
        caption="Solid blue frame: a digit it was trained on. Solid green: a digit it was shown five times. Dashed: no "
        "digit at all. Dotted orange: a wrong answer.",
    )
    return page.with_section(
        "What it answers",
        "Each image is new to the recognizer, which was saved to a file and loaded again before it was asked. Below "
        "each image stands its answer with the probability it gives it, or “unknown” where the image is like nothing "
        "it knows.",
        figures=(picture,),
    )


def _geometry(page: Page, run: Any) -> Page:
    picture = Figure(
        svg=to_svg(quickstart_picture(run), "geometry"),
        alt="The known digits form tight clusters at the corners of a simplex; the added digits and the unknown images "
        "lie between them.",
        caption="New images, seen from the side that keeps the known digits furthest apart. Near things are drawn "
        "stronger. The picture shows three of the many dimensions: what seems close here can be far apart in the "
        "others.",
    )
    return page.with_section(
        "What the network sees",
        "The network turns each image into a list of numbers, a point in space. After training to the end, all images "
        "of a digit lie near one point, and these points are as far from one another as they can be: they are the "
        "corners of a simplex, the relative of the triangle and the tetrahedron. This is neural collapse.",
        "Images of something new land elsewhere, usually nearer to the middle. That is why a handful of images is "
        "enough to place a new class, and why a stranger is noticed.",
        figures=(picture,),
    )


def _collapse(page: Page, run: Any) -> Page:
    picture = Figure(
        svg=plot_collapse(run.history, plain_from=_plain_from(run.settings)),
        alt="Six curves over the epochs of training: loss, accuracy, and the four collapse measures NC1 to NC4.",
        caption="One epoch is one pass over the training images. Where the ground is shaded, images were shown as "
        "they are, no longer shifted about.",
    )
    return page.with_section(
        "How it got there",
        "Loss and accuracy say how well the network does; the four NC measures say how orderly its space has become. "
        "NC1 to NC3 fall towards 0 as the order sets in, and NC4 rises towards 100%.",
        figures=(picture,),
        tables=(collapse_table(run.results),),
    )


def _added(page: Page, run: Any) -> Page:
    figures = tuple(
        Figure(
            svg=plot_confusion(*confusion, title=title),
            alt=f"Confusion matrix, {title.lower()}.",
            caption=caption,
            wide=False,
        )
        for confusion, title, caption in (
            (run.confusion_before, "Before adding", "Eight digits known. A number off the diagonal counts mistakes."),
            (run.confusion_after, "After adding 8 and 9", "Ten digits known; the last two from five images each."),
        )
    )
    return page.with_section(
        "New classes from five images",
        "A new digit is added by taking the average of its five points: no training, a few milliseconds. The tables "
        "count the answers to new images: each row is one digit, each column what it was taken for, so a dark "
        "diagonal is good.",
        figures=figures,
        tables=(added_table(run.results),),
    )


def _unknown(page: Page, run: Any) -> Page:
    groups = dict(run.scores)
    known = groups.pop(next(iter(groups))) if groups else ()
    histograms = Figure(
        svg=plot_scores(run.scores, run.threshold),
        alt="Histograms of scores: known digits to the right of the threshold, unknown images mostly to its left.",
        caption="The score is minus the distance to the nearest corner of the simplex. The threshold was set on "
        "held-out images of known digits; no unknown image was looked at.",
    )
    curves = Figure(
        svg=plot_roc(known, groups),
        alt="ROC curves: share of unknown images found against share of known images refused.",
        caption="Every point is one choice of threshold. The nearer a curve comes to the upper left corner, the "
        "better.",
        wide=False,
    )
    return page.with_section(
        "Saying “unknown”",
        "Before 8 and 9 are added they are strangers, and so are textures and noise. An image far from every corner is "
        "refused. You choose how many known images may be refused by mistake, and the threshold follows from that.",
        figures=(histograms, curves),
        tables=(unknown_table(run.results),),
    )


def _pruning(page: Page, run: Any) -> Page:
    dense = max((point for point in run.tradeoff if point[0] >= 0.999), default=None)
    picture = Figure(
        svg=plot_tradeoff(run.tradeoff, run.chosen, dense),
        alt="Accuracy on new images against the share of the network's work that is left after pruning.",
        caption="Work is counted in multiply-accumulates, the network's arithmetic for one image.",
        wide=False,
    )
    return page.with_section(
        "Half the work",
        "Many neurons say what others can say as well. They are taken out, and what is left is adjusted in "
        "one step from a few hundred images: no retraining.",
        figures=(picture,),
        tables=(pruning_table(run.results),),
    )


def _provenance(page: Page, run: Any) -> Page:
    return page.with_section(
        "How to get the same figures",
        "Settings, versions and machine of this run. The same seed on the same machine gives the same figures.",
        tables=provenance_tables(run.settings, run.environment),
    )


def _plain_from(settings: dict[str, Any]) -> int | None:
    """Return the first epoch without augmentation, where the settings tell it."""
    epochs, share = settings.get("epochs"), settings.get("final_fraction_without_augmentation")
    if not epochs or not share or settings.get("augment", "none") == "none":
        return None
    return int(epochs) - round(epochs * share) + 1
