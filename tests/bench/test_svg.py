from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import matplotlib

from pocketrec.bench.grouping import scenes
from pocketrec.bench.svg import PALETTE, drawing, look_of, svg_of, tidy


def drawn(title: str = "a title", name: str = "one") -> str:
    with drawing(3, 2) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [1, 0], clip_on=True, marker="o")
        axes.set_title(title)
        tidy(axes, grid="y")
    return svg_of(figure, name)


def test_a_drawing_is_one_svg_element_that_needs_nothing_else() -> None:
    text = drawn()
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert text.startswith("<svg")
    assert text.endswith("</svg>")
    assert not re.search(r"<script|<metadata|<!DOCTYPE|@import|DejaVu", text)
    assert set(re.findall(r"https?://[^\"' ]*", text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_names_inside_are_set_apart_and_still_found() -> None:
    text = drawn(name="auc1")
    names = re.findall(r'\bid="([^"]*)"', text)
    used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', text)
    assert used
    assert all(name.startswith("auc1-") for name in names)
    assert {a or b for a, b in used} <= set(names)


def test_the_same_drawing_is_the_same_text_and_settings_stay() -> None:
    before = dict(matplotlib.rcParams)
    assert drawn() == drawn()
    assert dict(matplotlib.rcParams) == before


def test_text_stays_text_whatever_stands_in_it() -> None:
    text = drawn(title="a < b & $c_1$ \"d\" <script>alert('x')</script>")
    root = ElementTree.fromstring(text)
    words = ["".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a < b & $c_1$ \"d\" <script>alert('x')</script>" in words
    assert "<script" not in text


def test_a_method_has_one_colour_and_its_series_differ(study) -> None:
    (scene,) = scenes(study)
    looks = {s.label: look_of(s, scene) for s in scene.series}
    assert looks["min_count"]["color"] == looks["min_count, int8"]["color"]
    assert looks["min_count"]["color"] != looks["robe"]["color"]
    assert looks["min_count"]["linestyle"] != looks["min_count, int8"]["linestyle"]
    assert len({(look["color"], look["marker"], look["linestyle"]) for look in looks.values()}) == 4
    assert len(set(PALETTE)) == len(PALETTE)
