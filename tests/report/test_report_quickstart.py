import re
import xml.etree.ElementTree as ET

import pytest

from ncapps.errors import InputError
from ncapps.report import quickstart_page, save_png
from ncapps.report.quickstart import quickstart_picture
from ncapps.report.quickstart_tables import number, percent


def test_the_page_has_every_section_figure_and_headline(quickstart_text):
    root = ET.fromstring(quickstart_text.partition("\n")[2])
    assert [item.text for item in root.iter("h2")] == [
        "What it answers",
        "What the network sees",
        "How it got there",
        "New classes from five images",
        "Saying “unknown”",
        "Half the work",
        "How to get the same figures",
    ]
    assert len(list(root.iter("figure"))) == 8
    values = [item.text for item in root.iter("dd") if item.get("class") == "value"]
    assert values == ["98.5%", "90.0%", "0.987", "4.5%", "98.0%"]


def test_the_page_is_self_contained_and_its_ids_are_its_own(quickstart_text):
    assert "<script" not in quickstart_text
    assert not re.search(r"@import|<link|<iframe|src=", quickstart_text)
    assert quickstart_text.count("http") == quickstart_text.count('xmlns="http://www.w3.org/2000/svg"')
    assert all(link.startswith(("#", "data:image/png")) for link in re.findall(r'href="([^"]*)"', quickstart_text))
    names = re.findall(r'\bid="([^"]+)"', quickstart_text)
    assert len(set(names)) == len(names)


def test_equal_runs_give_equal_pages(run, quickstart_text):
    assert quickstart_page(run).render() == quickstart_text


def test_settings_and_environment_are_told(quickstart_text):
    for words in ("backbone", "resnet18", "versions.torch", "2.15"):
        assert words in quickstart_text


def test_figures_that_an_older_run_lacks_are_left_out(run):
    for name in ("accuracy_dense", "prune_seconds", "undo_is_exact", "ood_detected", "ood_auroc_each"):
        del run.results[name]
    run.settings, run.environment = {}, {}
    assert "Accuracy before pruning" not in quickstart_page(run).render()


@pytest.mark.parametrize("name", ["accuracy_known", "false_alarm_rate", "nc1", "seconds"])
def test_a_missing_headline_is_named(run, name):
    run.results[name] = None
    with pytest.raises(InputError, match=f"the results hold no '{name}'"):
        quickstart_page(run)


def test_the_readmes_picture_is_small(run, tmp_path):
    save_png(quickstart_picture(run), tmp_path / "geometry.png")
    assert 10_000 < (tmp_path / "geometry.png").stat().st_size < 300_000


def test_only_all_is_told_as_all():
    assert [percent(share) for share in (0.0, 0.97, 0.99999, 1.0)] == ["0.0%", "97.0%", "99.9%", "100%"]


def test_small_numbers_keep_three_digits():
    assert [number(value) for value in (0.0, 0.012345, 1.5, 0.0000123)] == ["0", "0.0123", "1.5", "1.2e-05"]
