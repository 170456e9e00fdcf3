"""``pocketrec size``: promises without tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketrec.compress import METHODS, size
from pocketrec.spec.table import TableSpec

Say = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tables.yaml"
    path.write_text("item: 9999\nsite: 49\n")
    return path


def test_a_terabyte_set_is_sized_by_every_method(pocketrec: Say) -> None:
    found = pocketrec("size", "terabyte", "-b", "16x", "-b", "2x", "--json").json()
    assert (found["tables"], found["dense_float32_bytes"]) == (26, 882_774_585 * 64)
    assert [(a["method"], a["budget"]) for a in found["sizings"]] == [
        (method, budget) for budget in ("16x", "2x") for method in METHODS.names()
    ]
    for answer in found["sizings"]:
        if "refused" in answer:
            assert answer["least_bytes"] > 882_774_585 * 64 // 16
        else:
            assert answer["serve_bytes"] + answer["unused_bytes"] == answer["budget_bytes"]
    assert {a["method"] for a in found["sizings"] if "refused" in a} == {
        "full", "ada_embed", "autodim", "mde", "memcom",
    }  # fmt: skip


def test_assumed_counts_are_said(pocketrec: Say) -> None:
    assert "Zipf 1.05 assumed" in pocketrec("size", "kaggle", "-b", "16x", "-m", "min_count").out
    assert "Zipf" not in pocketrec("size", "kaggle", "-b", "16x", "-m", "robe").out


def test_tables_come_from_a_file(pocketrec: Say, file: Path) -> None:
    tables = [TableSpec(name="item", rows=10_000, dim=8, ids="rank"), TableSpec(name="site", rows=50, dim=8,
                                                                                ids="rank")]  # fmt: skip
    for storage in ("int4", "int8"):
        expected = size(tables, "10x", "hash_rows", storage=storage)
        (found,) = pocketrec(
            "size", file, "-b", "10x", "-m", "hash_rows", "--storage", storage, "--dim", 8, "--json"
        ).json()["sizings"]
        assert found["serve_bytes"] == expected.serve_bytes
    assert found["tables"]["site"] == {"ids": "rank", "rows": 50, "exact": True}
    file.write_text(json.dumps({"item": 9999, "site": 49}))
    assert pocketrec("size", file, "-b", "10x", "--dim", 8).code == 0


def test_a_row_of_4_bits_is_half_a_byte_per_number_and_4_bytes(pocketrec: Say, file: Path) -> None:
    (found,) = pocketrec(
        "size", file, "-b", "1x", "-m", "full", "--storage", "int4", "--dim", 7, "--json"
    ).json()["sizings"]  # fmt: skip
    assert found["serve_bytes"] == 10_050 * (4 + 4)


def test_a_person_sees_rows_totals_floors_and_tables(pocketrec: Say, file: Path) -> None:
    said = pocketrec("size", file, "-b", "10x", "--dim", 8, "--per-table").out
    assert said.startswith("2 tables, 10,050 rows of dim 8: 321,600 bytes in dense float32\n")
    assert "needs at least 321,600 bytes" in said
    hashed = next(line for line in said.splitlines() if line.startswith("hash_rows"))
    _, storage, budget, promised, unused, vocabulary, total, training = hashed.split()
    numbers = [int(n.replace(",", "")) for n in (promised, unused, vocabulary, total, training)]
    assert budget == "10x"
    assert numbers[0] + numbers[1] == 32_160
    assert (storage, numbers[0] + numbers[2]) == ("float32", numbers[3])
    assert "\nhash_rows at 10x\n" in said
    assert "\nfull at 10x\n" not in said


def test_the_optimizer_counts_as_training_bytes(pocketrec: Say, file: Path) -> None:
    def training(optimizer: str) -> int:
        arguments = ("size", file, "-b", "1x", "-m", "full", "--dim", 8, "--optimizer", optimizer, "--json")
        return int(pocketrec(*arguments).json()["sizings"][0]["train_bytes"])

    assert training("sgd") == 321_600
    assert training("rowwise_adagrad") == 321_600 + 4 * 10_050
    assert training("adam") == 3 * 321_600


def test_options_belong_to_a_method(pocketrec: Say, file: Path) -> None:
    said = pocketrec("size", file, "-b", "10x", "-o", "block=8")
    assert (said.code, said.out) == (2, "")
    assert "Say which, such as --method robe" in said.err
    found = pocketrec("size", file, "-b", "10x", "-o", "block=8", "-m", "robe", "--json").json()
    assert found["sizings"][0]["serve_bytes"] > 0
    assert "has no option 'blok'" in pocketrec("size", file, "-b", "10x", "-o", "blok=8", "-m", "robe").err


def test_open_tables_take_absolute_budgets_and_some_methods(pocketrec: Say, file: Path) -> None:
    file.write_text("item: null\nsite: 49\n")
    said = pocketrec("size", file, "-b", "10x")
    assert said.code == 2
    assert "'item' is open" in said.err
    found = pocketrec("size", file, "-b", "10KB", "--json").json()
    assert found["dense_float32_bytes"] is None
    refused = {a["method"] for a in found["sizings"] if "refused" in a}
    assert refused == {
        "ada_embed",
        "autodim",
        "autosrh",
        "binary_code",
        "coded",
        "dedup",
        "deeplight",
        "dhe",
        "dpq",
        "full",
        "mde",
        "memcom",
        "mgqe",
        "min_count",
        "mixed",
        "narrow",
        "optembed",
        "pep",
        "quotient_remainder",
        "tensor_ring",
        "tt_rec",
    }
    said = pocketrec("size", file, "-b", "10KB").out
    assert "2 tables, 50 rows and open tables of dim 16\n" in said
    assert "full cannot hold open tables." in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item: many", "tables.yaml: item: 'many' is not a whole number above 0"),
        ("item: true", "item: True is not a whole number"),
        ("item: -3", "item: -3 is not a whole number"),
        ("item: [", "tables.yaml: this is not YAML"),
        ("- 3", "tables.yaml: write one table per line"),
        ("", "tables.yaml: write one table per line"),
    ],
)
def test_a_file_that_is_wrong_is_named(text: str, said: str, pocketrec: Say, file: Path) -> None:
    file.write_text(text)
    found = pocketrec("size", file, "-b", "10x")
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_of_a_method_that_contains_another_both_parts_are_told(pocketrec: Say, file: Path) -> None:
    asked = ("size", file, "-b", "10x", "-m", "offline_split", "--dim", 8)
    (found,) = pocketrec(*asked, "--json").json()["sizings"]
    item = found["tables"]["item"]
    assert (item["ids"], set(item)) == ("head", {"ids", "rows", "hash_rows"})
    assert item["rows"] > 0
    assert item["hash_rows"]["exact"] is False
    assert found["vocabulary_bytes"] == 12 * sum(found["tables"][name]["rows"] for name in ("item", "site"))
    out = pocketrec(*asked, "--per-table").out
    assert f"item: ids head, rows {item['rows']}, hash_rows (rows {item['hash_rows']['rows']}, exact False)" in out


def test_options_of_a_method_inside_are_told_with_a_dot(pocketrec: Say, file: Path) -> None:
    asked = ("size", file, "-b", "10x", "-m", "offline_split", "--dim", 8, "-o", "cold=robe")
    (plain,), (rounded,) = (
        pocketrec(*asked, *more, "--json").json()["sizings"] for more in ((), ("-o", "cold_options.storage=int8"))
    )
    assert plain["tables"]["item"]["robe"] == {}
    assert "item: ids head" in (out := pocketrec(*asked, "--per-table").out)
    assert "robe (shared)" in out
    tables = [TableSpec(name=n, rows=r, dim=8, ids="rank") for n, r in (("item", 10_000), ("site", 50))]
    expected = size(tables, "10x", "offline_split", cold="robe", cold_options={"storage": "int8"})
    assert (rounded["serve_bytes"], rounded["tables"]["item"]["rows"]) == (
        expected.serve_bytes, expected.of("item").settings["rows"],
    )  # fmt: skip
    assert pocketrec(*asked, "-o", "cold_options.blok=3").code != 0
