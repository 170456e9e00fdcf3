from __future__ import annotations

import re
from pathlib import Path

import pytest

from pocketrec.native import BlockFlag, Column, Combining, Kind, Pooling, program_row
from pocketrec.native.program import LINEAR_MODULUS, PROGRAM_COLUMNS, WEIGHTS_PER_SCALE
from pocketrec.spec.errors import OptionError

HEADER = (Path(__file__).resolve().parents[2] / "csrc" / "pocketrec.h").read_text()


def test_a_row_holds_the_defaults_and_what_is_named() -> None:
    assert program_row() == [0, 0, 0, 0, 0, 0, 0, 0, -1, 1, 0, 0, -1, 0, 0, 0, 0]
    named = {column.name.lower(): 100 + column for column in Column}
    assert program_row(**named) == list(range(100, 117))
    assert len(Column) == PROGRAM_COLUMNS


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(OptionError, match=r"no column 'rows'\. Known: column, kind, start"):
        program_row(rows=4)


@pytest.mark.parametrize(
    ("enum", "prefix"), [(Kind, "PR_"), (BlockFlag, "PR_"), (Combining, "PR_"), (Pooling, "PR_POOL_")]
)
def test_the_header_has_the_same_codes(enum: type[Kind], prefix: str) -> None:
    codes = dict(re.findall(r"(PR_\w+) = (\d+)", HEADER))
    for member in enum:
        assert int(codes[prefix + member.name]) == member


def test_the_header_has_the_same_constants() -> None:
    assert f"#define PR_PROGRAM_COLUMNS {PROGRAM_COLUMNS}\n" in HEADER
    assert f"#define PR_WEIGHTS_PER_SCALE {WEIGHTS_PER_SCALE}\n" in HEADER
    assert f"#define PR_LINEAR_MODULUS INT64_C({LINEAR_MODULUS})\n" in HEADER
