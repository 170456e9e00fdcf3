from __future__ import annotations

import pytest

from pocketrec.bench.bytes_figure import where_bytes_went
from pocketrec.bench.charts import Chart
from pocketrec.bench.grouping import scenes


def lengths(chart: Chart, *, right: bool) -> list[list[float]]:
    """Lengths of the parts of each bar, from the top bar down."""
    sides = [t for t in chart.traces if ("xaxis" in t.plot) == right]
    rows = len(sides[0].plot["y"]) if sides else 0
    return [[t.plot["x"][row] for t in sides if t.plot["x"][row]] for row in range(rows)]


def names(chart: Chart) -> list[str]:
    return [t.plot["name"] for t in chart.traces if "xaxis" not in t.plot]


def test_shares_on_the_left_and_all_that_serving_takes_on_the_right(study) -> None:
    charts = where_bytes_went(scenes(study)[0], "b")
    assert [c.title for c in charts] == ["at a budget of their own", "40 kB allowed (10x)", "4 kB allowed (100x)"]
    last = charts[-1]
    assert lengths(last, right=False) == [[pytest.approx(3896 / 3996), pytest.approx(100 / 3996)]] * 2
    assert lengths(last, right=True) == [[3996, 1200, 43_110]] * 2
    assert last.traces[0].plot["y"] == ["min_count", "robe"]
    assert last.traces[0].plot["customdata"] == [3896, 3896]
    assert all(t.groups == [4, 5] for t in last.traces)
    assert last.layout["yaxis"]["autorange"] == "reversed"  # the first on top
    assert len({c.name for c in charts}) == 3


def test_only_the_largest_tables_have_a_colour_of_their_own(make_run) -> None:
    tables = {f"t{k}": 10 * k for k in range(1, 27)}
    (chart,) = where_bytes_went(scenes([make_run(table_bytes=tables)])[0], "b")
    assert names(chart) == [f"t{k}" for k in range(26, 17, -1)] + ["17 other tables"]
    (bar,) = lengths(chart, right=False)
    assert sum(bar) == pytest.approx(1.0)
    assert bar[-1] == pytest.approx(sum(tables[f"t{k}"] for k in range(1, 18)) / sum(tables.values()))


def test_ten_tables_are_all_named(make_run) -> None:
    (chart,) = where_bytes_went(scenes([make_run(table_bytes={f"t{k}": 5 for k in range(10)})])[0], "b")
    assert names(chart) == [f"t{k}" for k in range(10)]


def test_tables_of_one_run_and_a_shared_array_of_another(make_run) -> None:
    runs = [make_run(method="full"), make_run(method="robe", table_bytes={"shared": 20_232})]
    (chart,) = where_bytes_went(scenes(runs)[0], "b")
    assert [len(bar) for bar in lengths(chart, right=False)] == [2, 1]
    assert lengths(chart, right=False)[1] == [1]


def test_rows_of_one_name_stay_two_rows(make_run) -> None:
    long = "m" * 60
    (chart,) = where_bytes_went(scenes([make_run(method=long), make_run(method=long + "2")])[0], "b")
    rows = chart.traces[0].plot["y"]
    assert len(rows) == len(set(rows)) == 2


def test_what_is_not_known_is_not_drawn(make_run) -> None:
    nothing = {"promised_bytes": None, "table_bytes": {}, "held_bytes": None, "file_bytes": None}
    assert where_bytes_went(scenes([make_run(**nothing)])[0], "b") == []
    (chart,) = where_bytes_went(scenes([make_run(table_bytes={}, vocabulary_bytes=0, dense_bytes=None)])[0], "b")
    assert lengths(chart, right=False) == []
    assert lengths(chart, right=True) == [[20_232]]


def test_names_are_plain_text(make_run) -> None:
    (chart,) = where_bytes_went(scenes([make_run(method="<b>", table_bytes={"<i>": 20_232})])[0], "b")
    assert chart.traces[0].plot["name"] == "&lt;i&gt;"
    assert chart.traces[0].plot["y"] == ["&lt;b&gt;"]
