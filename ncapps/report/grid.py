"""`Grid`: a table of any number of columns, one row marked; on narrow screens it scrolls."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from ncapps.errors import InputError
from ncapps.report.parts import Table


@dataclass(frozen=True, kw_only=True)
class Grid(Table):
    """Rows of cells under named columns; the first cell names the row, the others stand to the right.

    Parameters
    ----------
    columns : tuple of str
        Their names.
    cells : tuple of tuple of str
        The rows, each with one text a column.
    marked : str
        The row of this name is set bold.

    Raises
    ------
    InputError
        If a row has another number of cells than there are columns.

    Examples
    --------
    >>> "<td" in Grid(columns=("Detector", "AUROC"), cells=(("etf", "0.93"),)).render()
    True
    """

    rows: tuple[tuple[str, str, str], ...] = ()
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    marked: str = ""

    def __post_init__(self) -> None:
        for row in self.cells:
            if len(row) != len(self.columns):
                raise InputError(f"a row needs {len(self.columns)} cells, one a column, but {row!r} came")

    def render(self) -> str:
        """Return the table as HTML with a header cell for each column and row."""
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        head = "".join(
            f'<th scope="col" style="{_TIGHT}; text-align: {"right" if place else "left"}">{escape(name)}</th>'
            for place, name in enumerate(self.columns)
        )
        body = "".join(self._row(row) for row in self.cells)
        return (
            f'<div class="table" tabindex="0" role="group" aria-label="Table"><table>{caption}'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _row(self, row: tuple[str, ...]) -> str:
        weight = 700 if row[0] == self.marked else 400
        style = f'style="min-width: 0; {_TIGHT}; font-weight: {max(weight, 500)}"'
        cells = "".join(
            f'<td style="{_TIGHT}; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; '
            f'font-weight: {weight}">{escape(cell)}</td>'
            for cell in row[1:]
        )
        return f'<tr><th scope="row" {style}>{escape(row[0])}</th>{cells}</tr>'


_TIGHT = "padding: 0.4rem 1.1rem"
