import re
import xml.etree.ElementTree as ET

import pytest

from ncapps.errors import InputError
from ncapps.report import Figure, Page, Table, Tile

SQUARE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'
)


def parsed(page):
    text = page.render()
    assert text.startswith("<!DOCTYPE html>")
    return ET.fromstring(text.partition("\n")[2])


def test_a_page_is_well_formed_and_holds_what_was_put_in():
    page = (
        Page("Title", "Lead", footer="The end")
        .with_tiles(Tile(label="Hits", value="97%", note="of all"))
        .with_section("One", "First.", "Second.", figures=(Figure(svg=SQUARE, alt="A square", caption="Black."),))
        .with_section("Two", tables=(Table(rows=(("speed", "3", "images a second"),), caption="Speeds"),))
    )
    root = parsed(page)
    assert root.get("lang") == "en"
    assert [item.text for item in root.iter("h1")] == ["Title"]
    assert [item.text for item in root.iter("h2")] == ["One", "Two"]
    assert [item.text for item in root.iter("p")] == ["Lead", "First.", "Second."]
    assert [item.text for item in root.iter("figcaption")] == ["Black."]
    picture = next(root.iter("{http://www.w3.org/2000/svg}svg"))
    assert (picture.get("role"), picture.get("aria-label")) == ("img", "A square")
    assert [item.get("scope") for item in root.iter("th")] == ["col", "col", "col", "row"]
    assert [item.text for item in root.iter("footer")] == ["The end"]


def test_all_text_is_escaped():
    bad = "<b>&\"'</b><script>x</script>"
    page = (
        Page(bad, bad, footer=bad)
        .with_tiles(Tile(label=bad, value=bad, note=bad))
        .with_section(
            bad,
            bad,
            figures=(Figure(svg=SQUARE, alt=bad, caption=bad),),
            tables=(Table(rows=((bad, bad, bad),), caption=bad, header=(bad, bad, bad)),),
        )
    )
    root = parsed(page)
    assert not list(root.iter("script"))
    assert not list(root.iter("b"))
    assert next(root.iter("h1")).text == bad
    assert [item.text for item in root.iter("td")] == [bad, bad]


def test_links_lead_to_sections_and_headings_name_them():
    page = Page("Title", "Lead")
    for heading in ("One & only", "Two", "Drei…", "…"):
        page = page.with_section(heading)
    root = parsed(page)
    anchors = [item.get("id") for item in root.iter("section")]
    assert [item.get("href") for item in root.iter("a")] == [f"#{anchor}" for anchor in anchors]
    assert len(set(anchors)) == 4
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", anchor) for anchor in anchors)


def test_adding_makes_a_new_page_and_equal_pages_render_equal():
    page = Page("Title", "Lead")
    assert page.with_section("One") != page
    assert page.sections == ()
    assert page.with_section("One").render() == page.with_section("One").render()


def test_writing_is_whole_or_not_at_all(tmp_path):
    page = Page("Title", "Lead “quoted”")
    page.write(tmp_path / "deep" / "report.html")
    assert (tmp_path / "deep" / "report.html").read_text(encoding="utf-8") == page.render()
    with pytest.raises(InputError, match="is a folder"):
        page.write(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["deep"]


def test_a_lone_half_figure_shares_its_row_with_the_table():
    table, figure = Table(rows=(("a", "1", ""),)), Figure(svg=SQUARE, alt="A square", wide=False)
    lone = parsed(Page("T", "L").with_section("S", figures=(figure,), tables=(table,)))
    pair = parsed(Page("T", "L").with_section("S", figures=(figure, figure), tables=(table,)))
    grids = [next(item for item in root.iter("div") if item.get("class") == "figures") for root in (lone, pair)]
    assert [sum(1 for _ in grid.iter("table")) for grid in grids] == [1, 0]
    assert sum(1 for _ in pair.iter("table")) == 1


@pytest.mark.parametrize(
    ("svg", "alt", "words"),
    [
        ("picture.svg", "x", "must be an <svg> element, but 'picture.svg' came"),
        (SQUARE.replace("<rect", "<script>1</script><rect"), "x", "free of scripts and links"),
        (SQUARE.replace("<rect", '<rect onclick="x()"'), "x", "free of scripts and links"),
        (SQUARE.replace("<rect", '<image href="https://a.b/c.png"/><rect'), "x", "free of scripts and links"),
        (SQUARE.replace("<rect", '<rect fill="url(https://a.b)"'), "x", "free of scripts and links"),
        (SQUARE, " ", "needs an alt text"),
    ],
)
def test_bad_figures_are_refused(svg, alt, words):
    with pytest.raises(InputError, match=words):
        Figure(svg=svg, alt=alt)


def test_bad_pages_are_refused():
    with pytest.raises(InputError, match="needs a title"):
        Page(" ", "Lead")
    with pytest.raises(InputError, match="a heading of its own, but 'One' came"):
        Page("T", "L").with_section("One").with_section("One")
    with pytest.raises(InputError, match=r"must be \(name, value, note\)"):
        Table(rows=(("a", "1"),))


def test_a_table_without_notes_has_two_columns():
    root = parsed(Page("T", "L").with_section("S", tables=(Table(rows=(("a", "1", ""), ("b", "2", ""))),)))
    assert [item.text for item in root.iter("th")] == ["Measure", "Value", "a", "b"]
    assert [item.text for item in root.iter("td")] == ["1", "2"]
