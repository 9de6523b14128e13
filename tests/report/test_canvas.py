import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from ncapps.errors import InputError
from ncapps.report import save_png
from ncapps.report.canvas import house_style, new_figure, to_svg


def figure(heights=(1, 3, 2), title=""):
    with house_style():
        drawing = new_figure(3, 2)
        axes = drawing.add_subplot()
        axes.scatter(range(len(heights)), heights)
        axes.set_title(title)
    return drawing


def test_equal_data_gives_equal_bytes_and_other_data_other_ids(drawn):
    first, second, other = (drawn(to_svg(figure(data), "test")) for data in ((1, 3, 2), (1, 3, 2), (9, 3, 2)))
    assert first.text == second.text
    assert not set(first.ids) & set(other.ids)


def test_the_figure_names_its_natural_size_in_pixels(drawn):
    root = drawn(to_svg(figure(), "test")).root
    assert (root.get("width"), root.get("height")) == ("288", "192")


def test_text_stays_text_and_is_escaped(drawn):
    assert "a < b & c" in drawn(to_svg(figure(title="a < b & c"), "test")).words


def test_the_callers_matplotlib_settings_neither_matter_nor_change():
    plain = to_svg(figure(), "test")
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path", "svg.hashsalt": "x"}):
        before = dict(mpl.rcParams)
        assert to_svg(figure(), "test") == plain
        assert dict(mpl.rcParams) == before


def test_pyplot_is_never_loaded():
    import subprocess
    import sys

    code = "import sys, ncapps.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_png_is_whole_and_within_the_limit(tmp_path):
    path = tmp_path / "new" / "picture.png"
    save_png(figure(), path, dpi=100)
    with Image.open(path) as image:
        assert image.size == (300, 200)
    assert [item.name for item in path.parent.iterdir()] == ["picture.png"]


def test_png_gets_coarser_before_it_gets_too_large(tmp_path):
    path = tmp_path / "picture.png"
    noisy = figure(tuple(np.random.default_rng(0).random(400)))
    save_png(noisy, path, dpi=200)
    full = path.stat().st_size
    save_png(noisy, path, dpi=200, max_bytes=full // 2)
    assert path.stat().st_size <= full // 2
    with Image.open(path) as image:
        assert image.width < 600


def test_png_that_cannot_be_small_enough_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"takes \d+ bytes even at 50 dots an inch, max_bytes is 10"):
        save_png(figure(), tmp_path / "picture.png", max_bytes=10)
    assert not list(tmp_path.iterdir())
