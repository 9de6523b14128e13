"""`Page`: one self-contained HTML file; no script, nothing loaded from elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from html import escape
from importlib.resources import files
from pathlib import Path

from ncapps.errors import InputError
from ncapps.persist import write_text
from ncapps.report.parts import Figure, Section, Table, Tile


@dataclass(frozen=True)
class Page:
    """A report: title, lead, headline tiles, sections; each `with_...` returns a new page.

    Parameters
    ----------
    title, lead : str
        The heading, and the sentence or two below it.
    tiles : tuple of Tile
        Headline figures in one row.
    sections : tuple of Section
        In reading order.
    footer : str
        A closing line.

    Examples
    --------
    >>> page = Page("Report", "What was found.").with_section("Method", "We looked.")
    >>> "<h2" in page.render()
    True
    """

    title: str
    lead: str
    tiles: tuple[Tile, ...] = field(default=(), kw_only=True)
    sections: tuple[Section, ...] = field(default=(), kw_only=True)
    footer: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise InputError("a page needs a title, but an empty one came")

    def with_tiles(self, *tiles: Tile) -> Page:
        """Return the page with these headline figures added."""
        return replace(self, tiles=(*self.tiles, *tiles))

    def with_section(
        self,
        heading: str,
        *paragraphs: str,
        figures: tuple[Figure, ...] = (),
        tables: tuple[Table, ...] = (),
    ) -> Page:
        """Return the page with one more section.

        Raises
        ------
        InputError
            If the heading is empty or taken.
        """
        if not heading.strip() or heading in (section.heading for section in self.sections):
            raise InputError(f"a section needs a heading of its own, but {heading!r} came")
        section = Section(heading=heading, paragraphs=paragraphs, figures=tuple(figures), tables=tuple(tables))
        return replace(self, sections=(*self.sections, section))

    def render(self) -> str:
        """Return the whole document; equal pages give equal text."""
        css = files("ncapps.report").joinpath("page.css").read_text(encoding="utf-8")
        anchors = self._anchors()
        body = "\n".join(section.render(anchor) for section, anchor in zip(self.sections, anchors, strict=True))
        tiles = "".join(tile.render() for tile in self.tiles)
        tiles = f'<dl class="tiles">{tiles}</dl>' if tiles else ""
        footer = f"<footer>{escape(self.footer)}</footer>" if self.footer else ""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8" />\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1" />\n'
            '<meta name="color-scheme" content="light dark" />\n'
            f"<title>{escape(self.title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n"
            f'<header><h1>{escape(self.title)}</h1><p class="lead">{escape(self.lead)}</p></header>\n<main>\n'
            f"{tiles}\n{self._contents(anchors)}\n{body}\n</main>\n"
            f"{footer}\n</body>\n</html>\n"
        )

    def write(self, path: str | Path) -> None:
        """Write the page to one file, whole or not at all."""
        write_text(path, self.render())

    def _anchors(self) -> list[str]:
        names = [re.sub(r"[^a-z0-9]+", "-", section.heading.lower()).strip("-") for section in self.sections]
        return [f"s{place}-{name}" for place, name in enumerate(names, 1)]

    def _contents(self, anchors: list[str]) -> str:
        if len(anchors) < 3:
            return ""
        links = "".join(
            f'<li><a href="#{anchor}">{escape(section.heading)}</a></li>'
            for anchor, section in zip(anchors, self.sections, strict=True)
        )
        return f'<nav aria-label="Contents"><ol>{links}</ol></nav>'
