"""The well-known logs are told by their shape. The rows here are made up."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketrec.data.propose.recognise import recognise
from pocketrec.data.propose.sniff import sniff

AVAZU = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,device_ip,"
    "device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21\n"
    + "1,0,14102100,1,0,a,b,c,d,e,f,g,h,i,1,0,1,2,3,4,5,6,7,8\n"
    * 3
)
CRITEO = "\t".join(["1", *("3", "", "-1") * 4, "7", *("0a1b2c3d", "") * 13]) + "\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CRITEO * 3, "criteo"),
        (CRITEO.removeprefix("1\t") * 3, "criteo"),
        (AVAZU, "avazu"),
        ("1::31::2.5::1260759144\n1::29::3::1260759179\n", "movielens"),
        ("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", "movielens"),
        ("userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n", "movielens"),
        ("user\titem\trating\torder\n1\t31\t4\t0\n", "movielens_ordered"),
        ("label,user,item,daytime,weekday,isweekend,homework,weather\n0,1,2,3,4,5,6,7\n", "frappe"),
        ("-1 " + " ".join(f"{i}:1" for i in range(10)) + "\n", "frappe_libfm"),
        ("y,item\n1,a\n0,b\n", None),
        ("1\t2\t3\n", None),
        ("1::b\n", None),
    ],
)  # fmt: skip
def test_shapes(tmp_path: Path, text: str, name: str | None) -> None:
    file = tmp_path / "log.txt"
    file.write_text(text)
    known = recognise(file, sniff(file))
    assert (known[0] if known else None) == name
    if known:
        assert known[1]


def test_an_unlabelled_criteo_log_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text(CRITEO.removeprefix("1\t") * 3)
    known = recognise(tmp_path / "test.txt", sniff(tmp_path / "test.txt"))
    assert known is not None
    assert "no label" in known[1]


def test_releases_of_movielens_with_users(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::31::2::1260759144\n")
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n")
    known = recognise(tmp_path / "ratings.dat", sniff(tmp_path / "ratings.dat"))
    assert known is not None
    assert known[0] == "movielens_users"


def test_kuairand(tmp_path: Path) -> None:
    columns = ("user_id", "video_id", "is_click", "long_view", "tab", "hourmin", "anything")
    pq.write_table(pa.table({name: [1] for name in columns}), tmp_path / "log.parquet")
    known = recognise(tmp_path / "log.parquet", sniff(tmp_path / "log.parquet"))
    assert known is not None
    assert known[0] == "kuairand"
