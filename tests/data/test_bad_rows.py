from __future__ import annotations

import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.spec.errors import BadFile, BadRow, OptionError


def test_the_first_bad_row_is_an_error_that_names_file_row_and_column() -> None:
    with pytest.raises(BadRow, match=r"^log.tsv, row 7, column C3: not hexadecimal: 'xyz'\. Mend") as caught:
        BadRows("fail").row("log.tsv", 7, "C3", "not hexadecimal", "xyz")
    assert (caught.value.file, caught.value.row, caught.value.column) == ("log.tsv", 7, "C3")


def test_skipped_rows_and_files_are_counted_by_column_and_reason() -> None:
    bad = BadRows("skip", {"column a: not a number": 2})
    bad.row("f", 1, "a", "not a number", "x")
    bad.row("f", 2, None, "3 columns instead of 2")
    bad.file("f", "truncated gzip", 10)
    assert bad.counts == {"column a: not a number": 3, "3 columns instead of 2": 1, "file: truncated gzip": 1}


def test_a_bad_file_tells_how_far_it_could_be_read_and_what_to_do() -> None:
    with pytest.raises(BadFile, match=r"day_0.gz: truncated gzip after row 12 \(why\).*--bad-rows skip"):
        BadRows("fail").file("day_0.gz", "truncated gzip", 12, "why")


def test_what_cannot_be_skipped_is_not_advised_to_be() -> None:
    bad = BadRows("fail", skippable=False)
    with pytest.raises(BadRow, match="Mend the row, or leave it out") as row:
        bad.row("the frame", 7, "C3", "not hexadecimal", "xyz")
    with pytest.raises(BadFile, match=r"Get the file again\.$") as file:
        bad.file("day_0.gz", "truncated gzip", 12)
    assert "bad-rows" not in f"{row.value} {file.value}"


def test_long_values_are_cut_in_the_message() -> None:
    with pytest.raises(BadRow) as caught:
        BadRows("fail").row("f", 1, "a", "not a number", "x" * 1000)
    assert len(str(caught.value)) < 250


def test_the_mode_is_checked() -> None:
    with pytest.raises(OptionError, match="'fail' or 'skip'"):
        BadRows("ignore")  # type: ignore[arg-type]
