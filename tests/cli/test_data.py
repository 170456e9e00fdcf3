"""``pocketrec data check``."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketrec.spec.schema import Schema

Say = Callable[..., Any]


def shop(path: Path, rows: int = 400) -> Path:
    """A small log of no known form."""
    lines = ["shop;genres;price;bought"]
    lines += [
        f"s{i * i % 11};{['a|b', 'b', 'c|a|b', 'c'][i % 4]};{i % 37 + 0.5};{int(i * 7 % 10 < 4)}" for i in range(rows)
    ]
    path.write_text("\n".join(lines).replace("bought", "purchased") + "\n")
    return path


def test_a_known_log(pocketrec: Say, log: Path) -> None:
    said = pocketrec("data", "check", log, "--schema", "criteo")
    assert (said.code, said.err) == (0, "")
    assert "1,500 good rows" in said.out
    assert "C26" in said.out
    assert "I13" in said.out
    assert "bytes in float32 (1x); a budget of 16x is" in said.out
    without = pocketrec("data", "check", log)
    assert without.out.startswith("Known log: criteo")
    assert without.out.endswith(said.out)


def test_json_is_for_programs(pocketrec: Say, log: Path) -> None:
    found = pocketrec("data", "check", log, "--schema", "criteo", "--json", "--rows", 100, "--dim", 4).json()
    assert (found["rows"], found["complete"], found["good"], found["dim"]) == (100, False, True, 4)
    assert len(found["columns"]) == 40
    assert found["dense_float32_bytes"] == sum(t["rows"] * 4 * 4 for t in found["tables"])
    assert "proposal" not in found
    assert pocketrec("data", "check", log, "--json").json()["proposal"]["known"] == "criteo"


def test_bad_rows_end_with_1_and_what_to_do(pocketrec: Say, log: Path, tmp_path: Path) -> None:
    lines = gzip.decompress(log.read_bytes()).decode().splitlines(keepends=True)
    lines[4] = "7" + lines[4][1:]
    (tmp_path / "bad.tsv").write_text("".join(lines))
    said = pocketrec("data", "check", "bad.tsv", "--schema", "criteo")
    assert (said.code, said.err) == (1, "")
    assert "bad  column label: label not 0 or 1 (once)" in said.out
    assert "bad.tsv, row 5: '7'" in said.out
    assert "--bad-rows skip" in said.out
    assert pocketrec("data", "check", "bad.tsv", "--schema", "criteo", "--json").code == 1


def test_an_unknown_log_gets_a_schema(pocketrec: Say, tmp_path: Path) -> None:
    shop(tmp_path / "shop.csv")
    said = pocketrec("data", "check", "shop.csv", "--out", "shop.yaml")
    assert said.code == 0
    assert "Unknown log: text, 4 columns, semicolon between them" in said.out
    assert said.err == "Next: pocketrec train shop.csv --schema shop.yaml\n"
    schema = Schema.load(tmp_path / "shop.yaml")
    assert [f.kind for f in schema.fields] == ["categorical", "categorical", "dense", "label"]
    assert [f.name for f in schema.bags] == ["genres"]
    again = pocketrec("data", "check", "shop.csv", "--schema", "shop.yaml")
    assert again.code == 0
    assert said.out.endswith(again.out)


@pytest.mark.slow
def test_a_proposed_schema_trains(pocketrec: Say, tmp_path: Path) -> None:
    shop(tmp_path / "shop.csv")
    assert pocketrec("data", "check", "shop.csv", "--out", "shop.yaml").code == 0
    tiny = ("--dim", 2, "--epochs", 1, "--set", "model.bottom=[2]", "--set", "model.top=[2]", "-q", "--json")
    trained = pocketrec("train", "shop.csv", "--schema", "shop.yaml", "--method", "full", "--budget", "1x", *tiny)
    assert trained.code == 0, trained.err
    result = trained.json()
    assert result["promised_bytes"] == result["held_bytes"] == result["file_bytes"]
    assert pocketrec("predict", "run", "shop.csv").out.count("\n") == 400


def test_a_folder_of_parts(pocketrec: Say, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for day in (2, 10):
        shop(tmp_path / "parts" / f"day{day}.csv", rows=100)
    found = pocketrec("data", "check", "parts", "--json").json()
    assert [Path(f["path"]).name for f in found["files"]] == ["day2.csv", "day10.csv"]
    assert found["rows"] == 200


def test_the_group_says_what_it_holds(pocketrec: Say) -> None:
    said = pocketrec("data", "--help")
    assert said.code == 0
    assert " check " in said.out
    assert "See the head of this file" not in said.out


def test_where_nothing_can_be_read_the_code_is_2(pocketrec: Say, tmp_path: Path) -> None:
    (tmp_path / "words.svm").write_text("x y\nz w\n")
    said = pocketrec("data", "check", "words.svm", "--schema", "frappe_libfm")
    assert said.code == 2
    assert said.out.rstrip().endswith("Not one row can be read.")
    (tmp_path / "header.csv").write_text("shop,click\n")
    said = pocketrec("data", "check", "header.csv")
    assert said.code == 2
    assert "not one row can be read as 2 columns and a header. Give rows" in said.err


@pytest.mark.parametrize("word", ["nan", "NULL"])
def test_one_word_for_a_missing_number_makes_no_tokens_of_the_others(pocketrec: Say, tmp_path: Path, word: str) -> None:
    path = shop(tmp_path / "shop.csv")
    path.write_text(path.read_text().replace(";3.5;", f";{word};", 1))
    said = pocketrec("data", "check", "shop.csv", "--out", "shop.yaml")
    assert said.code == 1, "one row is bad, and said to be"
    assert next(f.kind for f in Schema.load(tmp_path / "shop.yaml").fields if f.name == "price") == "dense"
    assert f"{word!r} is not read as missing, rows with it are bad: leave these values empty" in said.out
    assert "1 bad row" in said.out
    assert "next: mend the value (a missing one is empty, in Parquet null)" in said.out


def test_without_out_it_says_how_to_keep_the_schema(pocketrec: Say, tmp_path: Path, log: Path) -> None:
    shop(tmp_path / "shop.csv")
    said = pocketrec("data", "check", "shop.csv")
    assert (
        said.err
        == "Next: pocketrec data check shop.csv --out schema.yaml writes this schema to a file, to train with.\n"
    )
    assert pocketrec("data", "check", "shop.csv", "--json").err == "", "for programs"
    assert pocketrec("data", "check", log).err == "", "a known log needs no file"
    assert pocketrec("data", "check", log, "--schema", "criteo").err == ""


def test_a_place_that_cannot_be_written_to_is_told_before_the_log_is_read(pocketrec: Say, tmp_path: Path) -> None:
    shop(tmp_path / "shop.csv")
    for out, reason in (("nowhere/s.yaml", "there is no folder nowhere"), ("shop.csv/s.yaml", "shop.csv is no folder"),
                        (".", "it is a folder")):  # fmt: skip
        said = pocketrec("data", "check", "shop.csv", "--out", out)
        assert (said.code, said.out) == (2, "")
        assert said.err == f"Cannot write {out}: {reason}. Choose another {'name' if out == '.' else 'folder'}.\n"
