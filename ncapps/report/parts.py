"""What a page is made of: `Tile`, `Figure`, `Table`, `Section`; all text is escaped, all markup checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from ncapps.errors import InputError

_SIDE = re.compile(r'\bwidth="([\d.]+)"')
_SMALLEST_SCALE = 0.66
_PHONE = 345.0


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One headline figure: a short label, the value, and a note of a few words."""

    label: str
    value: str
    note: str = ""

    def render(self) -> str:
        """Return the tile as HTML, for a definition list."""
        return (
            f'<div class="tile"><dt>{escape(self.label)}</dt><dd class="value">{escape(self.value)}</dd>'
            f'<dd class="note">{escape(self.note)}</dd></div>'
        )


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One picture on a white card.

    Parameters
    ----------
    svg : str
        An `<svg>` element, as the plot functions return it.
    alt : str
        What the picture shows, for readers who can't see it.
    caption : str
        Shown below the picture.
    wide : bool
        Take the page's whole width; otherwise two stand side by side where there is room.
    """

    svg: str
    alt: str
    caption: str = ""
    wide: bool = True

    def __post_init__(self) -> None:
        if not self.svg.startswith("<svg"):
            raise InputError(f"a figure must be an <svg> element, but {self.svg[:20]!r} came; do not pass a path")
        outside = re.search(
            r'<script|<foreignObject|\bon\w+="|(?:href|src)="(?!#|data:image/)|url\((?!#)', self.svg, re.IGNORECASE
        )
        if outside:
            raise InputError(f"a figure must be free of scripts and links, but holds {outside.group()!r}")
        if not self.alt.strip():
            raise InputError("a figure needs an alt text: one sentence on what it shows")

    def render(self) -> str:
        """Return the figure as HTML; on narrow screens the picture scrolls before its text gets too small."""
        side = _SIDE.search(self.svg[: self.svg.index(">")])
        natural = float(side.group(1)) if side else 640.0
        style = f"min-width: {natural * _SMALLEST_SCALE:.0f}px; max-width: {natural * 1.25:.0f}px"
        svg = self.svg.replace("<svg", f'<svg role="img" aria-label="{escape(self.alt)}" style="{style}"', 1)
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        kind = " ".join(["wide"] * self.wide + ["scrolls"] * (natural * _SMALLEST_SCALE > _PHONE))
        wide = f' class="{kind}"' if kind else ""
        frame = '<div class="picture" tabindex="0" role="group" aria-label="Picture">'
        return f"<figure{wide}>{frame}{svg}</div>{caption}</figure>"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of (name, value, note) under a caption; where no row has a note, that column is left out."""

    rows: tuple[tuple[str, str, str], ...]
    caption: str = ""
    header: tuple[str, str, str] = ("Measure", "Value", "What it says")

    def __post_init__(self) -> None:
        for row in self.rows:
            if not isinstance(row, tuple) or len(row) != 3:
                raise InputError(f"a table's row must be (name, value, note), but {row!r} came")

    def render(self) -> str:
        """Return the table as HTML with a header cell for each column and row."""
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        noted = any(note for _, _, note in self.rows)
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.header[: 3 if noted else 2])
        body = "".join(
            f'<tr><th scope="row">{escape(str(name))}</th>{_value_cell(str(value), plain=not noted)}'
            + (f'<td class="note">{escape(str(note))}</td></tr>' if noted else "</tr>")
            for name, value, note in self.rows
        )
        return (
            f'<div class="cell"><div class="table"><table>{caption}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div></div>"
        )


def _value_cell(value: str, *, plain: bool) -> str:
    # A number must not be broken in two lines, a hash has to be.
    return f'<td class="value{" long" if plain or len(value) > 14 else ""}">{escape(value)}</td>'


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, paragraphs of plain words, figures, tables."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()

    def render(self, anchor: str) -> str:
        """Return the section as HTML under this anchor."""
        text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in self.paragraphs)
        figures = [figure.render() for figure in self.figures]
        tables = [table.render() for table in self.tables]
        if tables and sum(not figure.wide for figure in self.figures) % 2:
            # The half row beside the odd figure is the first table's.
            figures.append(tables.pop(0))
        grid = f'<div class="figures">{"".join(figures)}</div>' if figures else ""
        return (
            f'<section id="{anchor}" aria-labelledby="{anchor}-heading">'
            f'<h2 id="{anchor}-heading">{escape(self.heading)}</h2>{text}{grid}{"".join(tables)}</section>'
        )
