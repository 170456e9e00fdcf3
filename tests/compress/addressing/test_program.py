from __future__ import annotations

from pocketrec.compress.addressing._program import PROGRAM_COLUMNS, program_row
from pocketrec.native import Column
from pocketrec.native.program import PROGRAM_COLUMNS as WIDTH
from pocketrec.native.program import program_row as native_row


def test_the_columns_are_those_of_the_ops() -> None:
    assert len(PROGRAM_COLUMNS) == WIDTH == len(Column)
    for place, name in enumerate(PROGRAM_COLUMNS):
        assert Column(place).name.lower() == ("global" if name == "offset" else name)


def test_a_row_by_names_is_the_row_of_the_ops() -> None:
    numbers = {"start": 3, "size": 4, "seed": 5, "a": 6, "b": 7, "n": 8, "p": 10, "q": 11}
    assert program_row(2, column=1, padding=9, offset=12, **numbers) == native_row(
        column=1, kind=2, padding=9, **{**numbers, "global": 12}
    )
    assert program_row(0, column=0, padding=-1, start=0, size=1) == native_row(kind=0, size=1)
