from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.fitting import INPUTS, only
from pocketrec.data.readers import READERS, Place
from pocketrec.data.scan import scan
from pocketrec.spec.errors import BadRow
from pocketrec.spec.schemas import SCHEMAS
from pocketrec.testing.reader_contract import ReaderContract

READER = READERS.get("avazu")
SCHEMA = SCHEMAS.get("avazu")
TAIL = [f"C{n}" for n in range(14, 22)]
HEADER = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,"
    "device_id,device_ip,device_model,device_type,device_conn_type," + ",".join(TAIL)
)


def line(n: int) -> list[str]:
    """Row n, as a made-up visitor of a made-up site leaves it."""
    hour = f"1410{21 + n % 9:02d}{n % 24:02d}"
    return [f"{10**19 + n}", str(n % 2), hour, "1005", "0", *(f"{n * k:08x}" for k in range(2, 11)), "1", "0",
            *(str(n % (k + 2)) for k in range(8))]  # fmt: skip


class TestAvazuContract(ReaderContract):
    reader = READER
    schema = SCHEMA
    name = "train.csv"
    packings = ("", ".gz", ".zst")
    head = HEADER + "\n"

    def rows(self, rows: int) -> list[tuple[str, ...]]:
        found = []
        for n in range(rows):
            values = line(n)
            day = datetime.date(2014, 10, 21 + n % 9)
            found.append((values[1], values[2], str(n % 24), str(day.weekday()), *values[3:]))
        return found

    def write(self, path: Path, rows: int) -> None:
        path.write_text(self.head + "".join(",".join(line(n)) + "\n" for n in range(rows)))

    def spoil(self, path: Path, row: int) -> bool:
        lines = path.read_text().splitlines(keepends=True)
        lines[row - (0 if self.head else 1)] = ",".join(["1", "0", "14102100", *["x"] * 22]) + "\n"
        path.write_text("".join(lines))
        return True


class TestAvazuWithoutHeaderContract(TestAvazuContract):
    head = ""


def test_the_columns_of_the_sample_are_those_of_the_header() -> None:
    assert len(HEADER.split(",")) == len(line(0)) == 24


@pytest.mark.parametrize("header", [True, False])
def test_a_test_file_has_no_click(tmp_path: Path, header: bool) -> None:
    rows = [",".join([*line(n)[:1], *line(n)[2:]]) for n in range(5)]
    path = tmp_path / "test.csv"
    path.write_text("\n".join([HEADER.replace("click,", "")] * header + rows) + "\n")
    for form in (SCHEMA.unlabelled(), only(SCHEMA, INPUTS)):
        assert READER.fitting(path, SCHEMA, [SCHEMA, form]) == form
        (block,) = READER.blocks(path, form, BadRows("fail"), Place())
        assert block.table["C21"].to_pylist() == [line(n)[-1].encode() for n in range(5)]
        assert block.table["hour_of_day"].to_pylist() == list(range(5))


@pytest.mark.parametrize("hour", ["14133100", "14102124", "", "noon", "14022900", "-4102100", "14100000"])
def test_an_hour_that_no_clock_shows_is_named(tmp_path: Path, hour: str) -> None:
    path = tmp_path / "train.csv"
    rows = [line(0), line(1), line(2)]
    rows[1][2] = hour
    path.write_text("\n".join([HEADER, *map(",".join, rows)]))
    with pytest.raises(BadRow, match=r"train.csv, row 2, column hour: not an hour as YYMMDDHH"):
        list(scan(path, SCHEMA, BadRows("fail")))
    bad = BadRows("skip")
    assert sum(columns.n for columns in scan(path, SCHEMA, bad)) == 2
    assert bad.counts == {"column hour: not an hour as YYMMDDHH": 1}


@pytest.mark.parametrize(("name", "rows"), [("first10k_train.csv.gz", 8087), ("first10k_test.csv", 432)])
def test_the_real_sample_is_read_to_its_end(shared_data: Path, name: str, rows: int) -> None:
    blocks = list(scan(shared_data / "avazu_sample" / name, SCHEMA, BadRows("fail")))
    assert sum(columns.n for columns in blocks) == rows
    assert {int(hour) for columns in blocks for hour in columns.time} <= set(range(14102100, 14103124))
