from __future__ import annotations

from pocketrec.compress.addressing._program import PROGRAM_COLUMNS
from pocketrec.compress.addressing.codes import Codes
from pocketrec.native import Kind, program_row


def test_the_row_says_what_the_addressing_says() -> None:
    codes = Codes(
        weights=900, block=4, own=3, own_start=8, own_width=16, fine=5, coarse=7, codewords=100, bits=8, whole_bits=4,
        place=2,
    )  # fmt: skip
    row = codes.program(column=1, padding=-1)
    named = {"size": 900, "a": 4, "n": 3, "p": 8, "q": 16, "r": 5, "s": 7, "b": 100, "t": 8, "u": 4, "global": 2}
    assert row == program_row(kind=Kind.CODES, column=1, **named)
    assert len(row) == len(PROGRAM_COLUMNS)
