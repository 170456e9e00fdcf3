from __future__ import annotations

from pocketrec.compress.addressing._program import PROGRAM_COLUMNS
from pocketrec.compress.addressing.packed_codes import PackedCodes
from pocketrec.native import Kind, program_row


def test_the_row_says_what_the_addressing_says() -> None:
    codes = PackedCodes(
        weights=900, block=4, codewords=36, ids=50, wide_ids=7, bits=5, few_bits=3, first_word=11
    )  # fmt: skip
    row = codes.program(column=1, padding=9)
    named = {"size": 900, "a": 4, "p": 36, "r": 50, "n": 7, "t": 5, "u": 3, "global": 11, "padding": 9}
    assert row == program_row(kind=Kind.PACKED_CODES, column=1, **named)
    assert len(row) == len(PROGRAM_COLUMNS)
