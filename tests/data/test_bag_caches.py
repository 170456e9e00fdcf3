"""A cache of bags holds what plain Python over the rows says, in every order, split and after every kill."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.data import batches as batches_module
from pocketrec.data import shuffle, text_blocks, write_pass
from pocketrec.data.batches import Batch
from pocketrec.data.dataset import Dataset
from pocketrec.data.jagged import Jagged
from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.errors import BadFile, OptionError
from pocketrec.spec.schema import Field, Schema

SCHEMA = Schema(
    fields=(
        Field(name="row", kind="dense"),
        Field(name="at", kind="time"),
        Field(name="tags", kind="categorical", many=True),
        Field(name="item", kind="categorical"),
        Field(name="seen", kind="categorical", many=True, separator=" ", table="item", max_values=3, pool="sum"),
        Field(name="words", kind="categorical", many=True, ids="hash63"),
        Field(name="slots", kind="categorical", many=True, ids="plain", rows=5, pool="sum"),
        Field(name="where", kind="categorical", ids="hash63"),
    )
)
CATEGORICAL = [f.name for f in SCHEMA.categorical]
SIZES = (0.5, 0.25)
Row = dict[str, Any]


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    def bag(prefix: str, most: int) -> st.SearchStrategy[list[str]]:
        return st.lists(st.integers(0, most).map(lambda n: f"{prefix}{n}"), max_size=5)

    row = st.fixed_dictionaries(
        {
            "at": st.integers(0, 5), "tags": bag("t", 6), "item": st.integers(0, 9).map(lambda n: f"i{n}"),
            "seen": bag("i", 9), "words": bag("w", 20), "slots": bag("", 4), "where": st.sampled_from(["", "x", "y"]),
        }
    )  # fmt: skip
    return [{"row": i, **values} for i, values in enumerate(draw(st.lists(row, min_size=4, max_size=30)))]


def write_csv(path: Path, rows: list[Row]) -> Path:
    lines = [",".join(f.name for f in SCHEMA.fields)]
    for row in rows:
        lines.append(
            f"{row['row']},{row['at']},{'|'.join(row['tags'])},{row['item']},{' '.join(row['seen'])},"
            f"{'|'.join(row['words'])},{'|'.join(row['slots'])},{row['where']}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def hash_of(token: str) -> int:
    return int(hash_tokens(pa.array([token]))[0])


class Reference:
    """The same log by lists and dicts."""

    def __init__(self, rows: list[Row], ends: tuple[int, int, int]) -> None:
        self.order = sorted(rows, key=lambda row: row["at"])[: ends[-1]]
        part = {row["row"]: sum(place >= end for end in ends) for place, row in enumerate(self.order)}
        self.tables = {"tags": self._ranked(rows, part, ("tags",)), "item": self._ranked(rows, part, ("item", "seen"))}

    def tokens(self, row: Row, name: str) -> list[str]:
        if name == "seen":
            return list(row[name][:3])
        return list(row[name]) if isinstance(row[name], list) else [row[name]]

    def _ranked(self, rows: list[Row], part: dict[int, int], names: tuple[str, ...]) -> dict[str, int]:
        counts, first = [Counter[str]() for _ in range(3)], dict[str, int]()
        for row in rows:
            for token in (t for name in names for t in self.tokens(row, name)):
                first.setdefault(token, len(first))
                if row["row"] in part:
                    counts[part[row["row"]]][token] += 1

        def place(token: str) -> tuple[int, int, int]:
            early = next(p for p in range(3) if counts[p][token])
            return early, -counts[early][token], first[token]

        return {token: 1 + i for i, token in enumerate(sorted({t for c in counts for t in c}, key=place))}

    def ids(self, row: Row, name: str) -> list[int]:
        tokens = self.tokens(row, name)
        if name in ("words", "where"):
            return [hash_of(t) for t in tokens]
        if name == "slots":
            return [int(t) for t in tokens]
        return [self.tables["tags" if name == "tags" else "item"][t] for t in tokens]


def rows_of(batch: Batch) -> Iterator[tuple[int, dict[str, list[int]], dict[str, list[float]]]]:
    """Per row its number, its ids and the factors of its values by field."""
    assert batch.offsets is not None
    assert batch.value_weights is not None
    n, offsets = len(batch.dense), batch.offsets.tolist()
    for i in range(n):
        spans = {name: (offsets[f * n + i], offsets[f * n + i + 1]) for f, name in enumerate(CATEGORICAL)}
        yield (
            int(batch.dense[i, 0]), {name: batch.ids[a:b].tolist() for name, (a, b) in spans.items()},
            {name: batch.value_weights[a:b].tolist() for name, (a, b) in spans.items()},
        )  # fmt: skip


@given(logs(), st.sampled_from(["time", "shuffle"]), st.integers(1, 7))
@settings(max_examples=20)
def test_a_cache_holds_what_the_rows_say(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], order: Any, size: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    train, validation = (max(1, int(len(rows) * share)) for share in SIZES)
    ends = (train, train + validation, len(rows) - 1)
    split = Split.rows(train=train, validation=validation, test=ends[2] - ends[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "BLOCK_BYTES", 200)
        dataset = prepare(write_csv(folder / "log.csv", rows), SCHEMA, cache=folder / "c", split=split)
    reference = Reference(rows, ends)
    parts = ("train", "validation", "test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shuffle, "BLOCK_ROWS", 3)
        patch.setattr(shuffle, "WINDOW_BLOCKS", 2)
        patch.setattr(batches_module, "_READ_ROWS", 4)
        found = list(dataset.batches(parts, batch_size=size, order=order, seed=3, epoch=1))
        for k in range(len(found)):  # whatever was read before
            again = next(dataset.batches(parts, batch_size=size, order=order, seed=3, epoch=1, start=k))
            assert again.ids.tolist() == found[k].ids.tolist()
            assert again.offsets is not None
            assert found[k].offsets is not None
            assert again.offsets.tolist() == found[k].offsets.tolist()
    numbers = [number for batch in found for number, _, _ in rows_of(batch)]
    assert sorted(numbers) == sorted(row["row"] for row in reference.order)
    assert order == "shuffle" or numbers == [row["row"] for row in reference.order]
    for batch in found:
        for number, ids, factors in rows_of(batch):
            for name in CATEGORICAL:
                want = reference.ids(rows[number], name)
                assert ids[name] == want, name
                share = float(np.float32(1) / np.float32(max(1, len(want))))
                assert factors[name] == [share if name in ("tags", "words") else 1.0] * len(want)


def test_statistics_count_values(tmp_path: Path) -> None:
    rows: list[Row] = [
        {
            "row": i,
            "at": i,
            "tags": tags,
            "item": "i1",
            "seen": ["i1"] * 5,
            "words": ["w"],
            "slots": ["2"] * i,
            "where": "",
        }
        for i, tags in enumerate([["a", "b"], ["a"], [], ["c", "c"]])
    ]
    dataset = prepare(
        write_csv(tmp_path / "log.csv", rows), SCHEMA, cache=tmp_path / "c", split=Split.rows(train=3, test=1)
    )
    assert dataset.counts("tags").tolist() == [0, 2, 1]
    assert dataset.counts("item").tolist() == [0, 3 + 9]  # of five values three are kept
    assert dataset.counts("slots").tolist() == [0, 0, 3, 0, 0]
    assert dataset.table_stats()["tags"].occurrences == 3
    assert dataset.summary().tables[0].missing_fraction == 0.0
    assert dataset.summary() == dataset.statistics().summary()


class Killed(BaseException):
    """Nothing in the package catches it."""


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(next(folder.iterdir()).iterdir())}


def made_rows(count: int, *, seed: int = 0) -> list[Row]:
    rng = np.random.default_rng(seed)
    times = rng.permutation(count)

    def bag(prefix: str, ids: int) -> list[str]:
        return [f"{prefix}{n}" for n in rng.integers(0, ids, rng.integers(0, 6))]

    return [
        {
            "row": i, "at": times[i], "tags": bag("t", 9), "item": f"i{rng.integers(9)}", "seen": bag("i", 9),
            "words": bag("w", 30), "slots": bag("", 5), "where": "x",
        }
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("split", [Split(), Split(by="hash"), Split(by="hash", key="item")], ids=["time", "row", "key"])
def test_a_pass_killed_anywhere_ends_with_the_same_bytes(tmp_path: Path, split: Split) -> None:
    log = write_csv(tmp_path / "log.csv", made_rows(150))
    prepare(log, SCHEMA, cache=tmp_path / "whole", split=split)
    want, moment = contents(tmp_path / "whole"), 0
    while True:
        told = iter(range(moment))

        def kill(stage: str, done: int, total: int, told: Iterator[int] = told) -> None:
            if next(told, None) is None:
                raise Killed

        folder = tmp_path / f"killed at {moment}"
        try:
            prepare(log, SCHEMA, cache=folder, split=split, progress=kill)
        except Killed:
            prepare(log, SCHEMA, cache=folder, split=split)
            assert contents(folder) == want
        else:
            break
        moment += 7
    assert moment > 15


def test_parquet_lists_make_the_same_cache_as_csv_texts(tmp_path: Path, small_blocks: None) -> None:
    rows = made_rows(120)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["tags"] = [bag or None for bag in columns["tags"]]
    columns["slots"] = [[int(n) for n in bag] for bag in columns["slots"]]
    pq.write_table(pa.table(columns), tmp_path / "log.parquet", row_group_size=50)
    csv = prepare(write_csv(tmp_path / "log.csv", rows), SCHEMA, cache=tmp_path / "a", split=Split())
    lists = Schema(fields=SCHEMA.fields, format="parquet")
    parquet = prepare(tmp_path / "log.parquet", lists, cache=tmp_path / "b", split=Split())
    one, two = (contents(folder) for folder in (tmp_path / "a", tmp_path / "b"))
    assert csv.rows == parquet.rows == 120
    arrays = [name for name in one if name.endswith(".npy")]
    assert {name: one[name] for name in arrays} == {name: two[name] for name in arrays}
    assert "bags-2.npy" in arrays


def test_ranks_of_bags_come_as_hashes_where_they_are_wanted(tmp_path: Path) -> None:
    dataset = prepare(write_csv(tmp_path / "log.csv", made_rows(60)), SCHEMA, cache=tmp_path / "c", split=Split())
    (ranks,) = dataset.batches(("train",), batch_size=100)
    (hashes,) = dataset.batches(("train",), batch_size=100, id_spaces={"tags": "hash63", "item": "hash63"})
    assert ranks.offsets is not None
    for table, field in (("tags", 0), ("item", 1), ("item", 2)):
        as_ranks, as_hashes = (
            Jagged(rows=len(b.dense), values=b.ids.numpy(), offsets=ranks.offsets.numpy(), weights=None).column(field)[
                0
            ]
            for b in (ranks, hashes)
        )
        assert np.array_equal(dataset.tokens(table)[as_ranks], as_hashes)


def test_rows_are_not_divided_by_a_bag(tmp_path: Path) -> None:
    log = write_csv(tmp_path / "log.csv", made_rows(20))
    with pytest.raises(OptionError, match="key 'tags' is not a field of tokens, one per row"):
        prepare(log, SCHEMA, cache=tmp_path / "c", split=Split(by="hash", key="tags"))


def test_empty_bags_everywhere(tmp_path: Path) -> None:
    none: Row = {"tags": [], "seen": [], "words": [], "slots": []}
    rows = [{**row, **none} for row in made_rows(10)]
    dataset = prepare(write_csv(tmp_path / "log.csv", rows), SCHEMA, cache=tmp_path / "c", split=Split())
    (batch,) = Dataset.open(dataset.path).batches(("train",), batch_size=10)
    assert batch.offsets is not None
    assert np.diff(batch.offsets.numpy()).reshape(len(CATEGORICAL), -1).sum(axis=1).tolist() == [0, 8, 0, 0, 0, 8]
    assert dataset.table_specs(4)[0].rows == 1


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(write_pass, "_ADDED_ROWS", 200)
    monkeypatch.setattr(shuffle, "BLOCK_ROWS", 16)
    monkeypatch.setattr(shuffle, "WINDOW_BLOCKS", 8)

    def peak(work: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    made, read = [], []
    for number, count in enumerate((100, 1600, 6400)):  # the first brings all that is imported late
        rows = [{**row, "at": row["row"]} for row in made_rows(count)]
        log = write_csv(tmp_path / f"{number}.csv", rows)
        made.append(peak(lambda log=log: prepare(log, SCHEMA, cache=tmp_path / "c", split=Split())))
        dataset = prepare(log, SCHEMA, cache=tmp_path / "c", split=Split())
        read.append(peak(lambda d=dataset: sum(1 for _ in d.batches(("train",), batch_size=32, order="shuffle"))))
    assert made[2] < 1.3 * made[1]
    assert read[2] < 1.3 * read[1]


@pytest.mark.parametrize("name", ["bags-0.npy", "bags-3.npy", "offsets-2.npy"])
def test_a_damaged_cache_of_bags_is_refused(tmp_path: Path, name: str) -> None:
    dataset = prepare(write_csv(tmp_path / "log.csv", made_rows(40)), SCHEMA, cache=tmp_path / "c", split=Split())
    file = dataset.path / name
    np.save(file, np.load(file)[:-1])
    with pytest.raises(BadFile, match=rf"{name}: holds .* Remove the cache's folder"):
        Dataset.open(dataset.path)
    file.unlink()
    with pytest.raises(BadFile, match=f"{name}: cannot be opened"):
        Dataset.open(dataset.path)
