"""A proposal fits its file, can be trained with, and nothing that somebody may hand over makes it crash."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.data.check.check import check
from pocketrec.data.propose.propose import propose
from pocketrec.spec.errors import BadFile, PocketrecError, SchemaError
from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS


def own_log(path: Path, rows: int = 300) -> Path:
    """A shop's log with one column of every kind."""
    rng = np.random.default_rng(0)
    lines = ["row_id;at;user_id;item;tags;price;age;later;shop;clicked"]
    for i in range(rows):
        y = int(rng.random() < 0.4)
        tags = "|".join(rng.choice(["new", "sale", "red", "blue"], rng.integers(1, 4), replace=False))
        age = rng.choice(["", "18", "30", "44"])
        lines.append(
            f"{i};2026-01-{1 + i // 20:02d}T10:00:00;{rng.integers(1, 60)};i{int(rng.pareto(1.0)) % 50};{tags};"
            f"{rng.pareto(0.8):.2f};{age};{y};s{rng.integers(9)};{y}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_unknown_csv(tmp_path: Path) -> None:
    log = own_log(tmp_path / "own.csv")
    proposal = propose(log)
    assert proposal.known is None
    kinds = {f.name: f.kind for f in proposal.schema.fields}
    assert kinds == {
        "at": "time", "user_id": "categorical", "item": "categorical", "tags": "categorical", "price": "dense",
        "age": "dense", "shop": "categorical", "clicked": "label",
    }  # fmt: skip
    assert proposal.schema.user == "user_id"
    assert [f.name for f in proposal.schema.bags] == ["tags"]
    left_out = {g.name: g.reason for g in proposal.guesses if g.field is None}
    assert set(left_out) == {"row_id", "later"}
    assert "AUC of 1.000" in left_out["later"], "the trial found the leak"
    found = check(log, proposal.schema)
    assert (found.rows, found.good) == (300, True)
    assert "semicolon" in proposal.text()


def test_the_file_it_writes_is_the_schema_with_reasons(tmp_path: Path) -> None:
    proposal = propose(own_log(tmp_path / "own.csv"))
    (tmp_path / "own.yaml").write_text(proposal.yaml())
    assert Schema.load(tmp_path / "own.yaml") == proposal.schema
    assert "# left out: later: This column alone tells the label" in proposal.yaml()
    assert proposal.yaml().count("#") == 10, "one reason per column"
    told = proposal.to_json()
    assert Schema.from_json(told["schema"]) == proposal.schema
    assert [c["column"] for c in told["columns"]][:2] == ["row_id", "at"]


def test_numbers_that_do_not_fit_float32_become_tokens(tmp_path: Path) -> None:
    rows = "".join(f"{i % 2},{i * 0.37:.3f},s{i % 7}\n" for i in range(300))
    (tmp_path / "log.csv").write_text(f"y,price,shop\n{rows}1,1e300,s1\n")
    proposal = propose(tmp_path / "log.csv")
    assert proposal.schema.dense == ()
    assert "not every value is a dense value" in proposal.yaml()
    assert check(tmp_path / "log.csv", proposal.schema).good


def test_parquet_with_lists(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    columns = {
        "y": rng.integers(0, 2, 200), "seen": [list(map(int, rng.integers(0, 30, k))) for k in rng.integers(0, 5, 200)],
        "shop": [f"s{i}" for i in rng.integers(0, 30, 200)], "x": rng.normal(size=200),
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    proposal = propose(tmp_path / "log.parquet")
    assert [f.kind for f in proposal.schema.fields] == ["label", "categorical", "categorical", "dense"]
    assert proposal.schema.fields[1].many
    assert check(tmp_path / "log.parquet", proposal.schema).good


def test_words_among_numbers(tmp_path: Path) -> None:
    """Seen in the first rows they make the column tokens, with advice; seen later they are bad rows of the check."""
    lines = [f"{i % 2},{i * 0.37:.3f},s{i % 7}" for i in range(25_000)]
    lines[24_999] = "1,low,s1"
    (tmp_path / "log.csv").write_text("y,price,shop\n" + "\n".join(lines[:300]) + "\n1,low,s1\n")
    early = propose(tmp_path / "log.csv")
    assert {f.name: f.kind for f in early.schema.fields} == {
        "y": "label",
        "price": "categorical",
        "shop": "categorical",
    }
    assert "but for words such as 'low'" in early.yaml()
    (tmp_path / "log.csv").write_text("y,price,shop\n" + "\n".join(lines) + "\n")
    late = propose(tmp_path / "log.csv").schema
    assert {f.name: f.kind for f in late.fields}["price"] == "dense"
    assert [f.reason for f in check(tmp_path / "log.csv", late).faults] == ["not a number"]


CRITEO = "\t".join(["1", *("3", "", "-1") * 4, "7", *("0a1b2c3d", "") * 13]) + "\n"


def test_a_known_log_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_text(CRITEO * 30)
    proposal = propose(tmp_path / "log.tsv")
    assert (proposal.known, proposal.schema) == ("criteo", SCHEMAS.get("criteo"))
    assert "--schema criteo" in proposal.text()
    assert Schema.from_json(yaml.safe_load(proposal.yaml())) == proposal.schema
    (tmp_path / "log.tsv").write_text(CRITEO.removeprefix("1\t") * 30)
    assert propose(tmp_path / "log.tsv").schema == SCHEMAS.get("criteo").unlabelled()


def test_a_known_log_whose_schema_does_not_fit_is_guessed(tmp_path: Path) -> None:
    """MovieLens ratings without the file of movies beside them."""
    rows = "".join(f"{i % 40},{i * 7 % 90},{1 + i % 5},{1260759144 + i}\n" for i in range(200))
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)
    proposal = propose(tmp_path / "ratings.csv")
    assert proposal.known is None
    assert any("It looks like movielens" in note for note in proposal.notes)
    label = proposal.schema.label
    assert label is not None
    assert label.threshold == 4
    assert check(tmp_path / "ratings.csv", proposal.schema).good


def test_a_folder_of_parts(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("words of one column\n")
    (tmp_path / "picture.bin").write_bytes(b"\0\1")
    own_log(tmp_path / "part_1.csv")
    assert propose(tmp_path).schema == propose(tmp_path / "part_1.csv").schema


def test_what_cannot_be_proposed_for_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place, said in (("absent", "no such file"), ("empty", "no file in this folder")):
        with pytest.raises(BadFile, match=said):
            propose(tmp_path / place)
    (tmp_path / "log.csv").write_text("label,note\n" + "".join(f"{i % 2},\n" for i in range(60)))
    with pytest.raises(SchemaError, match="no column can be an input"):
        propose(tmp_path / "log.csv")


def test_names_that_yaml_would_misread_survive(tmp_path: Path) -> None:
    names = ["yes", "1.5x", "a: b", "# x", "{y}", "click"]
    rows = "".join(f"k{i % 3},m{i % 4},n{i % 5},o{i % 6},p{i % 7},{i % 2}\n" for i in range(60))
    (tmp_path / "log.csv").write_text(",".join(names) + "\n" + rows)
    proposal = propose(tmp_path / "log.csv")
    assert [f.name for f in proposal.schema.fields] == names
    assert Schema.from_json(yaml.safe_load(proposal.yaml())) == proposal.schema


# ---------------------------------------------------------------- nothing crashes


CELLS = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "1.5", "nan", "inf", "a", "a|b", "x,y", '"', "2026-01-01", "1e400", "\u00e9"]),
    st.text(max_size=8),
)


@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=12),
    delimiter=st.sampled_from([",", "\t", ";", "|"]),
    even=st.booleans(),
)
def test_small_csv_files_are_proposed_for_or_refused(
    rows: list[list[str]], delimiter: str, even: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = io.StringIO()
    width = max(map(len, rows))
    csv.writer(text, delimiter=delimiter).writerows(row + [""] * (width - len(row)) if even else row for row in rows)
    looked_at(text.getvalue().encode("utf-8", "surrogatepass"), tmp_path_factory)


@settings(max_examples=60)
@given(content=st.binary(max_size=300))
def test_bytes_are_proposed_for_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    looked_at(content, tmp_path_factory)


def looked_at(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Propose and check; the proposal must survive its own file, and only errors of ours may come."""
    file = tmp_path_factory.mktemp("any") / "any.csv"
    file.write_bytes(content)
    try:
        proposal = propose(file)
        assert Schema.from_json(yaml.safe_load(proposal.yaml())) == proposal.schema
        check(file, proposal.schema)
    except PocketrecError as refused:
        refused.add_note("only such errors may come")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("criteo_kaggle_137k/train.txt.gz", "criteo"),
        ("criteo_kaggle_137k/test_unlabelled.txt.gz", "criteo"),
        ("avazu_sample/first10k_train.csv.gz", "avazu"),
        ("frappe_x1/valid.csv.gz", "frappe"),
        ("ml-1m", "movielens_ordered"),
        ("kuairand_pure/val.parquet", "kuairand"),
    ],
)
def test_the_real_logs_are_recognised_and_read(place: str, name: str, shared_data: Path) -> None:
    proposal = propose(shared_data / place)
    assert proposal.known == name
    found = check(shared_data / place, proposal.schema, rows=500)
    assert (found.rows, found.good) == (500, True)
    assert not [f for f in found.findings if f.kind == "leak"]
