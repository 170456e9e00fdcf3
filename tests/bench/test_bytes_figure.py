from __future__ import annotations

import pytest

from pocketrec.bench.bytes_figure import where_bytes_went
from pocketrec.bench.grouping import scenes
from pocketrec.bench.svg import svg_of


def widths(axes) -> list[list[float]]:
    """Widths of the parts of each bar, from the top bar down."""
    bars: dict[float, list[float]] = {}
    for patch in axes.patches:
        bars.setdefault(patch.get_y(), []).append(patch.get_width())
    return [bars[y] for y in sorted(bars)]


def test_shares_on_the_left_and_all_that_serving_takes_on_the_right(study) -> None:
    figure = where_bytes_went(scenes(study)[0])
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == [
        "at a budget of their own",
        "40 kB allowed (10x)",
        "4 kB allowed (100x)",
    ]
    left, right = figure.axes[4:]
    assert widths(left) == [[pytest.approx(3896 / 3996), pytest.approx(100 / 3996)]] * 2
    assert widths(right) == [[3996, 1200, 43_110]] * 2
    assert [text.get_text() for text in right.texts] == ["48.3 kB"] * 2
    assert [label.get_text() for label in left.get_yticklabels()] == ["min_count", "robe"]
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the first on top


def test_only_the_largest_tables_have_a_colour_of_their_own(make_run) -> None:
    tables = {f"t{k}": 10 * k for k in range(1, 27)}
    figure = where_bytes_went(scenes([make_run(table_bytes=tables)])[0])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [f"t{k}" for k in range(26, 17, -1)] + ["17 other tables"]
    (bar,) = widths(figure.axes[0])
    assert sum(bar) == pytest.approx(1.0)
    assert bar[-1] == pytest.approx(sum(tables[f"t{k}"] for k in range(1, 18)) / sum(tables.values()))


def test_ten_tables_are_all_named(make_run) -> None:
    figure = where_bytes_went(scenes([make_run(table_bytes={f"t{k}": 5 for k in range(10)})])[0])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"t{k}" for k in range(10)]


def test_tables_of_one_run_and_a_shared_array_of_another(make_run) -> None:
    runs = [make_run(method="full"), make_run(method="robe", table_bytes={"shared": 20_232})]
    left = where_bytes_went(scenes(runs)[0]).axes[0]
    assert [len(bar) for bar in widths(left)] == [2, 1]
    assert widths(left)[1] == [pytest.approx(1.0)]


def test_what_is_not_known_is_not_drawn(make_run) -> None:
    nothing = {"promised_bytes": None, "table_bytes": {}, "held_bytes": None, "file_bytes": None}
    assert where_bytes_went(scenes([make_run(**nothing)])[0]) is None
    figure = where_bytes_went(scenes([make_run(table_bytes={}, vocabulary_bytes=0, dense_bytes=None)])[0])
    assert widths(figure.axes[0]) == []
    assert widths(figure.axes[1]) == [[20_232]]
    assert svg_of(figure, "x")
