from __future__ import annotations

import re

from pocketrec.bench.grouping import scenes
from pocketrec.bench.look import PALETTE, colours_of, look_of


def test_a_method_has_one_colour_on_the_whole_page_and_its_series_differ(study, make_run) -> None:
    found = scenes([*study, make_run(data="other", method="lma"), make_run(data="other", method="full")])
    colours = colours_of(found)
    assert list(colours) == ["full", "min_count", "robe", "lma"]
    looks = {s.label: look_of(s, colours) for s in found[0].series}
    assert looks["min_count"].colour == looks["min_count, int8"].colour != looks["robe"].colour
    assert looks["min_count"].dash != looks["min_count, int8"].dash
    assert len({(look.colour, look.symbol, look.dash) for look in looks.values()}) == 4
    assert look_of(found[1].series[1], colours) == looks["full"]


def test_colours_come_again_after_the_last(make_run) -> None:
    runs = [make_run(method=f"m{k}") for k in range(len(PALETTE) + 1)]
    colours = list(colours_of(scenes(runs)).values())
    assert colours == [*PALETTE, PALETTE[0]]
    assert len(set(PALETTE)) == len(PALETTE)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in PALETTE)
