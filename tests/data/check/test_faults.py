from __future__ import annotations

import pytest

from pocketrec.data.check.faults import Example, FaultLog


def test_faults_are_counted_by_column_and_reason_with_the_first_examples() -> None:
    log = FaultLog()
    for row in range(1, 6):
        log.row("a.csv", row, "y", "label not 0 or 1", row)
    log.row("b.csv", 9, None, "3 columns instead of 4")
    log.file("c.csv", "truncated gzip", 12, "the data ends")
    label, ragged, damaged = log.faults
    assert (label.column, label.reason, label.count) == ("y", "label not 0 or 1", 5)
    assert label.examples == tuple(Example(file="a.csv", row=row, value=str(row)) for row in (1, 2, 3))
    assert "threshold" in label.next_step
    assert label.next_step.endswith("or --bad-rows skip to go on without such rows")
    assert (ragged.column, ragged.examples[0].value) == (None, None)
    assert damaged.examples == (Example(file="c.csv", row=12, value="the data ends"),)
    assert log.rows == 6, "a damaged file is not a row"


def test_rows_beyond_the_last_are_not_counted() -> None:
    log = FaultLog()
    log.last_row = 10
    log.row("a", 10, "y", "not a number", "x")
    log.row("a", 11, "y", "not a number", "x")
    assert (log.rows, [f.count for f in log.faults]) == (1, [1])


def test_long_and_broken_values_are_shown_short() -> None:
    log = FaultLog()
    log.row("a", 1, "y", "not a number", b"\xff" + b"x" * 1000)
    value = log.faults[0].examples[0].value
    assert value is not None
    assert value.startswith("\\xff")
    assert len(value) <= 60


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("not a hexadecimal token", "tokens: text"),
        ("not an id from 0 to 5", "ids: rank"),
        ("not a time", "clock"),
        ("empty file", "get the file again"),
        ("not tokens (text in UTF-8, or a list)", "leave the column out"),
        ("of a reason that nobody thought of", "mend the value"),
    ],
)
def test_every_reason_has_a_next_step(reason: str, said: str) -> None:
    log = FaultLog()
    log.row("a", 1, "c", reason)
    assert said in log.faults[0].next_step
