"""Results on standard output, the rest on standard error."""

from __future__ import annotations

import pytest

from pocketrec.cli._output import complain, say, say_json, table


def test_results_and_complaints_go_apart(capsys: pytest.CaptureFixture[str]) -> None:
    say("result")
    say_json({"a": [1, None], "ä": "ö"})
    complain("trouble")
    said = capsys.readouterr()
    assert said.out == 'result\n{"a": [1, null], "ä": "ö"}\n'
    assert said.err == "trouble\n"


def test_json_is_strict() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        say_json({"auc": float("nan")})


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    found = table(["name", "n", ""], [["a", "1,000", "fits"], ["long", "1", ""]])
    assert found.splitlines() == ["name      n", "a     1,000  fits", "long      1"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert table(["a", "b"], []) == "a  b"
