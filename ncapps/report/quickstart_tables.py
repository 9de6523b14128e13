"""The tables of the quickstart's report: each figure with what it says in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ncapps.errors import InputError
from ncapps.report.parts import Table


def read(results: Mapping[str, Any], name: str) -> Any:
    """Return one figure of the results.

    Raises
    ------
    InputError
        If it is missing or None.
    """
    if results.get(name) is None:
        raise InputError(f"the results hold no {name!r}, which the report shows; did the run end early?")
    return results[name]


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal; only a full share is told as 100%."""
    if share == 1:
        return "100%"
    return f"{min(share, 0.999):.1%}" if share < 1 else f"{share:.1%}"


def collapse_table(results: Mapping[str, Any]) -> Table:
    """Tell the four collapse measures at the end of training."""
    return Table(
        caption="At the end of training, on the training images",
        rows=(
            (
                "NC1",
                number(read(results, "nc1")),
                "Spread of the images around their class's point, against the spread of the points. 0: no spread left.",
            ),
            (
                "NC2, angles",
                number(read(results, "nc2_equiangularity")),
                "How far the angles between the points are from those of a perfect simplex. 0: perfect.",
            ),
            (
                "NC3",
                number(read(results, "nc3")),
                "How far the classifier's directions are from those of the points. 0: the same.",
            ),
            (
                "NC4",
                percent(read(results, "nc4_agreement")),
                "Images for which the classifier's answer is simply the nearest point.",
            ),
        ),
    )


def added_table(results: Mapping[str, Any]) -> Table:
    """Tell the accuracy before and after adding."""
    rows = [
        ("Known digits, before adding", percent(read(results, "accuracy_known")), "Choosing among 0 to 7."),
        ("Added digits", percent(read(results, "accuracy_added")), "8 and 9, choosing among all ten digits."),
        ("All ten digits", percent(read(results, "accuracy_all")), "Every new image of every digit."),
    ]
    if "accuracy_known_after_adding" in results:
        name, kept = "Known digits, after adding", percent(results["accuracy_known_after_adding"])
        rows.insert(1, (name, kept, "The same images, now choosing among all ten."))
    if "undo_is_exact" in results:
        said = "yes" if results["undo_is_exact"] else "no"
        note = "Whether the recognizer is bit for bit as it was, once 8 and 9 are taken out again."
        rows.append(("Adding can be undone exactly", said, note))
    return Table(rows=tuple(rows))


def unknown_table(results: Mapping[str, Any]) -> Table:
    """Tell the AUROC, the share found of each unknown group, and the false alarms with their band."""
    rate = read(results, "false_alarm_rate")
    rows = [
        (
            "Unknown told from known (AUROC)",
            f"{read(results, 'ood_auroc'):.3f}",
            "The chance that a known image scores higher than an unknown one; mean over the groups.",
        ),
    ]
    found = results.get("ood_detected") or {}
    for group, area in (results.get("ood_auroc_each") or {}).items():
        note = f"{percent(found[group])} of them are refused at the threshold." if group in found else ""
        rows.append((f"… {group}", f"{area:.3f}", note))
    rows.append(
        (
            "False alarms",
            percent(read(rate, "measured")),
            f"Known images refused by mistake. Asked for: at most {100 * read(rate, 'target'):g}%; by chance alone "
            f"between {percent(read(rate, 'low'))} and {percent(read(rate, 'high'))} would be no surprise.",
        )
    )
    return Table(rows=tuple(rows))


def pruning_table(results: Mapping[str, Any]) -> Table:
    """Tell what pruning kept and what it cost."""
    rows = [
        ("Work left", percent(read(results, "macs_ratio")), "Multiply-accumulates for one image, against before."),
        ("Accuracy after pruning", percent(read(results, "accuracy_pruned")), "On new images of the known digits."),
    ]
    if "accuracy_dense" in results:
        rows.insert(1, ("Accuracy before pruning", percent(results["accuracy_dense"]), "The network's own classifier."))
    if "prune_seconds" in results:
        rows.append(("Time it took", f"{results['prune_seconds']:.1f} s", "For the chosen model."))
    return Table(rows=tuple(rows))


def provenance_tables(settings: Mapping[str, Any], environment: Mapping[str, Any]) -> tuple[Table, ...]:
    """Tell settings and environment, one line each, nested ones by their path."""
    named = (("Training settings", settings), ("Environment", environment))
    return tuple(
        Table(
            caption=caption,
            header=("Name", "Value", "Note"),
            rows=tuple((name, value, "") for name, value in _flat(tree)),
        )
        for caption, tree in named
        if tree
    )


def number(value: float) -> str:
    """Return a small number with three digits that count."""
    return f"{value:.3g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        label = f"{path}{name}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{label}.")
        elif value is not None:
            yield label, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
