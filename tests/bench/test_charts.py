from __future__ import annotations

import json

import pytest

from pocketrec.bench.charts import Chart, Mark, Trace, axis, bytes_axis, plain, rounded, rounds


def test_a_chart_as_json_says_which_group_each_point_is_of() -> None:
    traces = [
        Trace(plot={"x": [1, 2]}, groups=[4, 5], told=True, others={"all": [7, 8]}),
        Trace(plot={"x": [1]}, groups=3, framing=False),
        Trace(plot={}, groups=None, framing=False),
    ]
    marks = [Mark(axis="x", at=7, groups=[1], text="10x")]
    told = Chart(name="a-1", title="t", told="d", traces=traces, layout={"xaxis": {}}, marks=marks).to_json()
    assert json.loads(json.dumps(told)) == told
    assert told["traces"] == [
        {"plot": {"x": [1, 2]}, "groups": [4, 5], "framing": True, "told": True, "others": {"all": [7, 8]}},
        {"plot": {"x": [1]}, "groups": 3},
        {"plot": {}, "groups": None},
    ]
    assert told["marks"] == [{"axis": "x", "at": 7, "groups": [1], "text": "10x", "colour": ""}]
    assert told["shares"] == "a-1"  # a range of its own


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a & b", "a &amp; b"), ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"), ("&lt;", "&amp;lt;"), ("%{x}", "%{x}")],
)
def test_plain_text_has_no_tags_for_plotly(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_numbers_have_seven_digits_and_bytes_all_of_theirs() -> None:
    assert rounded(0.123456789) == 0.1234568
    assert rounded(1234567891) == 1234567891
    assert rounds([0.5, 3.0]) == [0.5, 3]
    assert isinstance(rounded(3.0), int)


def test_axes() -> None:
    assert axis("AUC", tickformat="d")["title"]["text"] == "AUC"
    across = bytes_axis("bytes")
    assert across["type"] == "log"
    assert dict(zip(across["tickvals"], across["ticktext"], strict=True))[20_000] == "20 kB"
