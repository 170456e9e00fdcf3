from __future__ import annotations

from dataclasses import replace

from pocketrec.compress.addressing._program import PROGRAM_COLUMNS
from pocketrec.compress.addressing.keyed_codes import KeyedCodes
from pocketrec.native import Kind, program_row


def test_the_row_says_what_the_addressing_says() -> None:
    codes = KeyedCodes(
        weights=900,
        block=4,
        seed=77,
        unknown=16,
        own=3,
        own_start=32,
        fine=5,
        coarse=7,
        bits=8,
        whole_bits=4,
        key_bits=6,
    )
    row = codes.program(column=1, padding=-1)
    named = {"size": 900, "a": 4, "seed": 77, "p": 16, "q": 32, "n": 3, "r": 5, "s": 7, "t": 8, "u": 4, "b": 6}
    assert row == program_row(kind=Kind.KEYED_CODES, column=1, **named)
    assert len(row) == len(PROGRAM_COLUMNS)
    ranks = replace(codes, ranks=50, key_bits=0).program(column=1, padding=-1)
    assert ranks == program_row(kind=Kind.KEYED_CODES, column=1, **named | {"b": -50})
