"""From a matplotlib figure to one clean SVG string, or a small PNG: equal data gives equal bytes."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ncapps.errors import InputError
from ncapps.persist import write_atomically
from ncapps.report.palette import FAINT, INK, MUTED

_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10.5,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titlecolor": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.axisbelow": True,
    "grid.color": "#eceff3",
    "grid.linewidth": 0.9,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "text.color": INK,
    "text.usetex": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": "figure",
    "figure.autolayout": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "ncapps",
    "svg.id": None,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the report's style whatever the user's matplotlibrc says; the caller's settings return afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float, *, gap: float = 0.04) -> Figure:
    """Return an empty figure of this size, with this gap around its axes, in inches; call it inside `house_style`."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=gap, h_pad=gap))


def say_in_the_middle(axes: Axes, text: str) -> None:
    """Write a muted note into empty axes, for a figure that has nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def to_svg(figure: Figure, name: str) -> str:
    """Return the figure as an `<svg>` element: no XML header, no metadata, ids that no other figure on a page has.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to draw.
    name : str
        The start of each id, in small letters: "geometry".

    Returns
    -------
    str
        The element; it scales with its container and names its natural size in `width` and `height`, in pixels.
    """
    buffer = io.StringIO()
    with house_style():
        FigureCanvasSVG(figure).print_svg(buffer, metadata=_NO_METADATA)
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = text.replace("'DejaVu Sans'", _FONTS).replace("xlink:href", "href")
    text = text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    prefix = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    width, height = (round(side * 96) for side in figure.get_size_inches())
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', f'width="{width}" height="{height}"', text, count=1).strip()


def save_png(figure: Figure, path: str | Path, *, dpi: int = 200, max_bytes: int = 300_000) -> None:
    """Write the figure as a PNG of 256 colours, in the finest resolution up to `dpi` that keeps it within `max_bytes`.

    Raises
    ------
    InputError
        If even 50 dots an inch take more bytes.
    """
    data = _png(figure, dpi)
    while len(data) > max_bytes:
        dpi = int(dpi * 0.85)
        if dpi < 50:
            raise InputError(f"the picture takes {len(data)} bytes even at 50 dots an inch, max_bytes is {max_bytes}")
        data = _png(figure, dpi)
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def _png(figure: Figure, dpi: int) -> bytes:
    from PIL import Image

    with house_style():
        raw, packed = io.BytesIO(), io.BytesIO()
        FigureCanvasAgg(figure)
        figure.savefig(raw, format="png", dpi=dpi)
    with Image.open(raw) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(packed, format="PNG", optimize=True)
    return packed.getvalue()
