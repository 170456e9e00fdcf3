from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pocketrec.data.headers import header, once, the_only
from pocketrec.data.text_blocks import Truncated
from pocketrec.spec.errors import SchemaError


@pytest.mark.parametrize(
    ("text", "names", "after"),
    [
        (b'a,"b, c"\r\n1,2\n', ("a", "b, c"), 10),
        (b"\xef\xbb\xbfa,b", ("a", "b"), 6),
        (b"", (), 0),
        (b"\xff,b\n", ("\ufffd", "b"), 4),
    ],
)
def test_the_values_of_the_first_line_and_the_offset_after_it(
    tmp_path: Path, text: bytes, names: tuple[str, ...], after: int
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    found, at = header(path, ",")
    assert found == names
    assert at == after


def test_a_line_that_no_header_can_be_names_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 200_000)
    assert header(path, ",")[0] in ((), ("x" * 65_536,))
    path.write_bytes(b'"' + b"x" * 140_000 + b'",b\n')
    assert header(path, ",")[0] == ()


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n")[:9])
    with pytest.raises(Truncated):
        header(path, ",")


def test_names_that_stand_twice_name_no_column() -> None:
    assert once(["a", "b", "a", "c"]) == {"b", "c"}
    the_only(["b"], ["a", "b", "a"], Path("x.csv"))
    with pytest.raises(SchemaError, match=r"x.csv: the column 'a' stands twice in the header. Columns: a, b, a\."):
        the_only(["b", "a"], ["a", "b", "a"], Path("x.csv"))
    with pytest.raises(SchemaError, match=r"the column 'd' is missing from the header"):
        the_only(["d"], ["a"], Path("x.csv"))
