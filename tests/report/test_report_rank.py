from dataclasses import replace

import numpy as np
import pytest

from ncapps.report import rank_page
from ncapps.transfer import rank_backbones


@pytest.fixture(scope="module")
def ranking():
    codes = np.arange(60) % 4
    noise = np.random.default_rng(0).normal(size=(60, 4))
    return rank_backbones(
        {"good & <tight>": np.eye(4)[codes] + 0.2 * noise, "noise": noise}, labels=codes, shots=2, draws=4
    )


def with_costs(ranking):
    rows = tuple(replace(row, milliseconds=1.0 + place, megabytes=8.0) for place, row in enumerate(ranking.rows))
    return replace(ranking, rows=rows)


def test_the_page_tells_choice_table_and_settings(ranking):
    page = rank_page(ranking, "photos").render()
    assert "good &amp; &lt;tight&gt;" in page
    assert "60 images of 4 classes from photos" in page
    assert "behind the best" in page
    assert page.count(">yes</td>") == 1
    assert all(title in page for title in ("held-out classes", "LogME", "H-score", "NCTI", "CDNV"))
    assert "each hid 30% of the classes" in page


def test_costs_bring_the_picture(ranking):
    assert "<svg" not in rank_page(ranking).render()
    page = rank_page(with_costs(ranking)).render()
    assert page.count("<svg") == 1
    assert "8.0 MB of weights" in page


def test_equal_rankings_give_equal_pages(ranking):
    assert rank_page(with_costs(ranking)).render() == rank_page(with_costs(ranking)).render()


def test_every_score_is_explained():
    from ncapps.report.rank import _WHAT
    from ncapps.transfer import SCORES

    assert set(_WHAT) == set(SCORES)
