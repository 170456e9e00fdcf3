from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from pocketrec.data import read_pass, text_blocks
from pocketrec.data.dataset import Dataset
from pocketrec.data.journal import Journal
from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.native.hash63 import hash_tokens
from pocketrec.spec.errors import BadFile, BadRow, OptionError
from pocketrec.spec.schema import Field, Schema, criteo
from pocketrec.spec.schemas import SCHEMAS

WriteLog = Callable[..., Path]
HALVES = Split(train="1/2", validation="1/4", test="1/4")
BY_USER = Split(by="hash", key="h", train="1/2", validation="1/4", test="1/4")
ALL = ("train", "validation", "test")
PIECES = [("a", 50), ("b", 30), ("c", 30), ("d", 20)]


def contents(folder: Path) -> dict[str, bytes]:
    """All files of the one cache in a folder."""
    (cache,) = folder.iterdir()
    return {path.name: path.read_bytes() for path in sorted(cache.iterdir())}


def whole(dataset: Dataset) -> Any:
    (batch,) = dataset.batches(ALL, batch_size=1_000_000)
    return batch


def equal(a: Any, b: Any) -> bool:
    return bool(torch.equal(a.ids, b.ids) and torch.equal(a.dense, b.dense) and torch.equal(a.label, b.label))


def test_ids_are_ranks_by_training_frequency(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "y,c\n" + "".join(f"0,{token}\n" for token in ["b", "a", "", "a", "z", "a", "b", "n", "n", "z", "q"])
    )
    schema = Schema(fields=(Field(name="y", kind="label"), Field(name="c", kind="categorical")))
    dataset = prepare(log, schema, cache=tmp_path / "c", split=Split.rows(train=6, validation=3, test=2))
    # Training: a 3, then b, missing, z once each in order of first appearance; validation adds n, test q.
    assert whole(dataset).ids[:, 0].tolist() == [2, 1, 3, 1, 4, 1, 2, 5, 5, 4, 6]
    assert [spec.rows for spec in dataset.table_specs(4)] == [5]
    assert [spec.rows for spec in dataset.table_specs(4, "validation")] == [6]
    assert dataset.counts("c").tolist() == [0, 3, 1, 1, 1]
    assert dataset.counts("c", "validation").tolist() == [0, 3, 2, 1, 1, 2]
    assert dataset.tokens("c").tolist() == [0, *hash_tokens(pa.array(["a", "b", "", "z"])).tolist()]


@pytest.mark.parametrize("split", [HALVES, BY_USER, Split(by="hash"), Split(train="1/3", validation=0, test="1/3")])
@pytest.mark.parametrize("shuffled_time", [False, True])
def test_the_cache_is_what_a_plain_program_would_make(
    tmp_path: Path, write_log: WriteLog, all_kinds: Schema, split: Split, shuffled_time: bool
) -> None:
    log = write_log(tmp_path / "log.csv", 300, shuffled_time=shuffled_time)
    dataset = prepare(log, all_kinds, cache=tmp_path / "c", split=split)
    frame = pd.read_csv(log, dtype={"c": str, "c2": str, "h": str}, keep_default_na=False, na_values={"d": [""]})
    rows = np.arange(300)
    if split.by == "hash":
        keys = hash_tokens(pa.array(frame["h"].tolist())) if split.key else rows
        part = split.parts_of(keys)
        order = np.concatenate(
            [np.flatnonzero(part == p)[np.argsort(frame["t"][part == p], kind="stable")] for p in range(3)]
        )
        assert list(dataset.parts.values()) == np.bincount(part, minlength=4)[:3].tolist()
    else:
        order = np.argsort(frame["t"], kind="stable")[: split.ends(300)[-1]]
        assert list(np.cumsum(list(dataset.parts.values()))) == list(split.ends(300))
    assert dataset.rows + dataset.left_out_rows == 300
    batch, taken = whole(dataset), frame.iloc[order]
    assert batch.label.tolist() == taken["y"].tolist()
    assert batch.weight.tolist() == taken["w"].tolist()
    assert batch.ids[:, 3].tolist() == taken["p"].tolist()
    assert batch.ids[:, 2].tolist() == hash_tokens(pa.array(taken["h"].tolist())).tolist()
    train = taken.iloc[: dataset.parts["train"]]
    d = np.log1p(np.maximum(taken["d"].fillna(0).to_numpy(), 0)).astype(np.float32)
    fit = d[: dataset.parts["train"]].astype(np.float64)
    np.testing.assert_allclose(batch.dense[:, 0].numpy(), (d - fit.mean()) / fit.std(), rtol=1e-5, atol=1e-6)
    assert batch.dense[:, 1].tolist() == taken["d"].isna().astype(float).tolist()
    tokens = pd.concat([train["c"], train["c2"]])
    counts = tokens.value_counts()
    assert dataset.counts("c")[1:].tolist() == sorted(counts.tolist(), reverse=True)
    names = {int(h): token for token, h in zip(counts.index, hash_tokens(pa.array(counts.index.tolist())), strict=True)}
    known = [names[int(h)] for h in dataset.tokens("c")[1:]]
    for j, column in enumerate(("c", "c2")):
        want = [known.index(token) + 1 if token in known else 0 for token in taken[column]]
        got = batch.ids[:, j].tolist()
        assert [i if i <= len(known) else 0 for i in got] == want


def test_the_second_call_reads_nothing(
    tmp_path: Path, write_log: WriteLog, all_kinds: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_log(tmp_path / "log.csv", 60)
    first = prepare(log, all_kinds, cache=tmp_path / "c", split=HALVES)

    def never(*args: object, **options: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(read_pass.ReadPass, "run", never)
    assert prepare(log, all_kinds, cache=tmp_path / "c", split=HALVES).path == first.path
    with pytest.raises(AssertionError, match="read again"):
        prepare(log, all_kinds, cache=tmp_path / "c", split=Split())


def test_files_that_are_joined_to_the_log_are_in_the_key(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("".join(f"{i % 3}::{i % 5}::{i % 5 + 1}::{i}\n" for i in range(30)))
    (tmp_path / "movies.dat").write_text("".join(f"{i}::Film {i} (199{i})::Drama\n" for i in range(4)))
    schema = SCHEMAS.get("movielens")
    before = prepare(tmp_path / "ratings.dat", schema, cache=tmp_path / "c", split=Split())
    with (tmp_path / "movies.dat").open("a") as movies:
        movies.write("4::Film 4 (1994)::Comedy\n")
    after = prepare(tmp_path / "ratings.dat", schema, cache=tmp_path / "c", split=Split())
    assert len([f for f in (tmp_path / "c").iterdir() if f.is_dir() and f.suffix != ".work"]) == 2
    assert [d.encoder().vocabularies["genres"].size for d in (before, after)] == [1, 2]


def test_everything_that_matters_is_in_the_key(tmp_path: Path, write_log: WriteLog, all_kinds: Schema) -> None:
    log = write_log(tmp_path / "log.csv", 60)
    cache = tmp_path / "c"
    base = prepare(log, all_kinds, cache=cache, split=HALVES)
    paths = {base.path}
    paths.add(prepare(log, all_kinds, cache=cache, split=BY_USER).path)
    paths.add(prepare(log, all_kinds, cache=cache, split=HALVES, bad_rows="skip").path)
    paths.add(prepare(log, all_kinds, cache=cache, split=HALVES, encoder=base.encoder()).path)
    other = Schema(fields=tuple(f for f in all_kinds.fields if f.name != "e"))
    paths.add(prepare(log, other, cache=cache, split=HALVES).path)
    os.utime(log, ns=(1, 1))
    paths.add(prepare(log, all_kinds, cache=cache, split=HALVES).path)
    log.write_text(log.read_text() + "0,1,99,,0,a,b,c,0\n")
    paths.add(prepare(log, all_kinds, cache=cache, split=HALVES).path)
    assert len(paths) == 7
    assert {path.name for path in cache.iterdir()} == {path.name for path in paths}  # nothing unfinished is left


class Killed(BaseException):
    """Stands for a kill: nothing in the package catches it."""


@pytest.mark.usefixtures("small_blocks")
def test_a_run_killed_anywhere_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, write_log: WriteLog, all_kinds: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_log(tmp_path / "log.csv", 160, shuffled_time=True)
    prepare(log, all_kinds, cache=tmp_path / "whole", split=HALVES)
    want = contents(tmp_path / "whole")
    appended: list[int] = []
    append = Journal.append

    def counted(self: Journal, arrays: Any, meta: Any) -> None:
        appended.append(1)
        append(self, arrays, meta)

    monkeypatch.setattr(Journal, "append", counted)
    prepare(log, all_kinds, cache=tmp_path / "again", split=HALVES)
    chunks, moments = len(appended), 0

    def kill_at(moment: int) -> Callable[[str, int, int], None]:
        seen = 0

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal seen
            seen += 1
            if seen == moment:
                raise Killed

        return tell

    while True:
        moments += 1
        folder = tmp_path / f"killed at {moments}"
        try:
            prepare(log, all_kinds, cache=folder, split=HALVES, progress=kill_at(moments))
        except Killed:
            pass
        else:
            break
        kept = Journal(next(folder.iterdir())).chunks
        appended.clear()
        prepare(log, all_kinds, cache=folder, split=HALVES)
        assert kept > 0
        assert kept + len(appended) == chunks  # what was read is not read again
        assert contents(folder) == want
    assert chunks > 3
    assert moments > 2 * chunks


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("write", [1, 2, 7, 11, 15, 20])
def test_a_full_disk_leaves_what_was_made(
    tmp_path: Path, write_log: WriteLog, all_kinds: Schema, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    log = write_log(tmp_path / "log.csv", 160)
    prepare(log, all_kinds, cache=tmp_path / "whole", split=HALVES)
    calls, fsync = 0, os.fsync

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == write:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            prepare(log, all_kinds, cache=tmp_path / "cache", split=HALVES)
    assert all(path.suffix == ".work" for path in (tmp_path / "cache").iterdir())  # never half a cache
    prepare(log, all_kinds, cache=tmp_path / "cache", split=HALVES)
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.usefixtures("small_blocks")
def test_sigkill_in_the_middle_of_reading_and_of_writing(
    tmp_path: Path, write_log: WriteLog, all_kinds: Schema
) -> None:
    log = write_log(tmp_path / "log.csv", 300)
    schema = tmp_path / "schema.yaml"
    schema.write_text(all_kinds.to_yaml())
    program = """
import os, signal, sys
from pocketrec.data import text_blocks
from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.spec.schemas import SCHEMAS
from pocketrec.spec.schema import Schema
text_blocks.BLOCK_BYTES = 1500
log, schema, cache, fatal = sys.argv[1:]
def tell(stage, done, total):
    if f"{stage} {done}" == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
prepare(log, Schema.load(schema), cache=cache, split=Split(train="1/2", validation="1/4", test="1/4"), progress=tell)
"""
    folder = tmp_path / "cache"
    reads = [f"read {n}" for n in range(90, 300)]
    for fatal in (next(r for r in reads if r == f"read {rows_after_block(log, 3)}"), "write 4"):
        done = subprocess.run([sys.executable, "-c", program, str(log), str(schema), str(folder), fatal], check=False)
        assert done.returncode == -signal.SIGKILL
        assert [path.suffix for path in folder.iterdir()] == [".work"]
    prepare(log, all_kinds, cache=folder, split=HALVES)
    prepare(log, all_kinds, cache=tmp_path / "whole", split=HALVES)
    assert contents(folder) == contents(tmp_path / "whole")


def rows_after_block(log: Path, number: int) -> int:
    text = log.read_bytes()
    header = text.index(b"\n") + 1
    blocks = text_blocks.text_blocks(log, start=header, block_bytes=1500)
    return sum(block.count(b"\n") for block, _ in [next(blocks) for _ in range(number)])


def test_the_size_of_blocks_changes_nothing(
    tmp_path: Path, write_log: WriteLog, all_kinds: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_log(tmp_path / "log.csv", 200)
    prepare(log, all_kinds, cache=tmp_path / "one", split=BY_USER)
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 700)
    prepare(log, all_kinds, cache=tmp_path / "two", split=BY_USER)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        if name.startswith(("ranks", "ids", "label", "weight", "tokens", "counts")):
            assert one[name] == two[name], name


def test_a_folder_of_parts_is_one_log(tmp_path: Path, write_log: WriteLog, all_kinds: Schema) -> None:
    log = write_log(tmp_path / "log.csv", 100)
    header, *lines = log.read_text().splitlines(keepends=True)
    (tmp_path / "parts").mkdir()
    for i in range(3):
        (tmp_path / "parts" / f"part{i}.csv").write_text(header + "".join(lines[i * 40 : i * 40 + 40]))
    one = whole(prepare(log, all_kinds, cache=tmp_path / "a", split=HALVES))
    two = whole(prepare(tmp_path / "parts", all_kinds, cache=tmp_path / "b", split=HALVES))
    assert one.ids.equal(two.ids)
    assert np.allclose(one.dense, two.dense, atol=1e-6)


def test_bad_rows_stop_or_are_counted(tmp_path: Path, write_log: WriteLog, all_kinds: Schema) -> None:
    log = write_log(tmp_path / "log.csv", 20)
    log.write_text(log.read_text() + "2,1,99,,0,a,b,c,0\n" + "1,1,99,,0,a,b,c,7\n" + "1,1\n" + "1,1,99,,0,a,b,c,1\n")
    with pytest.raises(BadRow, match=r"log.csv, row 21, column y: label not 0 or 1: '2'"):
        prepare(log, all_kinds, cache=tmp_path / "c", split=HALVES)
    dataset = prepare(log, all_kinds, cache=tmp_path / "c", split=HALVES, bad_rows="skip")
    assert dataset.rows == 21
    assert dataset.skipped_rows == {
        "column y: label not 0 or 1": 1,
        "column p: not an id from 0 to 5": 1,
        "2 columns instead of 9": 1,
    }
    assert Dataset.open(dataset.path).skipped_rows == dataset.skipped_rows


@pytest.mark.usefixtures("small_blocks")
def test_counts_of_skipped_rows_survive_a_kill(tmp_path: Path, write_log: WriteLog, all_kinds: Schema) -> None:
    log = write_log(tmp_path / "log.csv", 200)
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line + ("x,1\n" if i % 50 == 10 else "") for i, line in enumerate(lines)))

    def kill(stage: str, done: int, total: int) -> None:
        if done > 100:
            raise Killed

    with pytest.raises(Killed):
        prepare(log, all_kinds, cache=tmp_path / "c", split=HALVES, bad_rows="skip", progress=kill)
    dataset = prepare(log, all_kinds, cache=tmp_path / "c", split=HALVES, bad_rows="skip")
    assert dataset.rows == 200
    assert dataset.skipped_rows == {"2 columns instead of 9": 4}


def test_the_next_day_continues_the_vocabulary(tmp_path: Path, write_log: WriteLog, all_kinds: Schema) -> None:
    first = prepare(write_log(tmp_path / "day0.csv", 200), all_kinds, cache=tmp_path / "c", split=HALVES)
    encoder = first.encoder("validation")
    log = write_log(tmp_path / "day1.csv", 200, seed=9)
    second = prepare(log, all_kinds, cache=tmp_path / "c", split=HALVES, encoder=encoder)
    n = encoder.vocabularies["c"].size
    tokens = second.tokens("c")
    assert np.array_equal(tokens[1 : n + 1], encoder.vocabularies["c"].tokens())
    assert len(tokens) > n + 1
    assert second.table_specs(1)[0].rows == len(tokens)
    assert second.encoder().fitted == encoder.fitted
    frame = pd.read_csv(log)
    known, now = encoder.encode(frame), second.encoder().encode(frame)
    assert known.dense.tobytes() == now.dense.tobytes()
    assert np.array_equal(now.ids[known.ids > 0], known.ids[known.ids > 0])
    assert (second.counts("c")[n + 1 :] > 0).all()
    assert (np.diff(second.counts("c")[n + 1 :]) <= 0).all()
    with pytest.raises(OptionError, match="another schema"):
        prepare(log, criteo(), cache=tmp_path / "c", split=HALVES, encoder=encoder)


def test_what_cannot_be_prepared_is_refused(tmp_path: Path, write_log: WriteLog, all_kinds: Schema) -> None:
    log = write_log(tmp_path / "log.csv", 20)
    with pytest.raises(OptionError, match="wants 21 rows, there are 20"):
        prepare(log, all_kinds, cache=tmp_path / "c", split=Split.rows(train=21))
    with pytest.raises(OptionError, match="key 'p' is not a field of tokens"):
        prepare(log, all_kinds, cache=tmp_path / "c", split=Split(by="hash", key="p"))
    (tmp_path / "bad.csv").write_text("y,w,t,d,e,c,c2,h,p\n9,,,,,,,,\n")
    with pytest.raises(BadFile, match=r"bad.csv: there is no good row. Skipped: \{'column y: label not"):
        prepare(tmp_path / "bad.csv", all_kinds, cache=tmp_path / "c", split=HALVES, bad_rows="skip")


def test_two_processes_make_one_cache(tmp_path: Path, write_log: WriteLog, all_kinds: Schema) -> None:
    from concurrent.futures import ThreadPoolExecutor

    log = write_log(tmp_path / "log.csv", 200)
    with ThreadPoolExecutor(3) as pool:  # flock keeps threads apart too, each opens the folder for itself
        made = list(pool.map(lambda _: prepare(log, all_kinds, cache=tmp_path / "c", split=HALVES).path, range(3)))
    assert len(set(made)) == 1
    assert [path.suffix for path in (tmp_path / "c").iterdir()] == [""]


def test_the_real_sample_has_its_known_statistics(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "criteo_kaggle_137k"
    split = Split.rows(train=105_792, validation=11_755, test=19_592)
    dataset = prepare(folder / "train.txt.gz", criteo(), cache=tmp_path, split=split)
    known = json.loads((folder / "stats.json").read_text())
    assert dataset.parts == {"train": 105_792, "validation": 11_755, "test": 19_592}
    distinct = 0
    for t, field in enumerate(dataset.schema.tables):
        counts = dataset._counts(t).sum(axis=0)
        want = known[field.name]
        # The folder's statistics count tokens without the missing one, which is an ordinary token here.
        assert (counts > 0).sum() == want["card"] + (want["missing"] > 0)
        tokens = dataset._all_tokens(t)
        missing = counts[tokens == hash_tokens(pa.array([""]))[0]].sum()
        assert round(int(missing) / dataset.rows, 4) == want["missing"]
        top = counts[tokens == hash_tokens(pa.array([want["top"]]))[0]][0]
        assert round(int(top) / dataset.rows, 4) == want["topshare"]
        distinct += int((counts > 0).sum())
    assert distinct == 316_191
    assert dataset.statistics("validation").summary().positives == pytest.approx(0.2568 * 117_547, rel=0.01)


def test_files_and_cuts_divide_rows_as_the_same_rows_in_numbers_do(
    tmp_path: Path, write_log: WriteLog, all_kinds: Schema
) -> None:
    schema = replace(all_kinds, fields=tuple(f for f in all_kinds.fields if f.kind != "time"))
    files = [write_log(tmp_path / f"{name}.csv", rows, seed=seed) for seed, (name, rows) in enumerate(PIECES)]
    by_number = prepare(files, schema, cache=tmp_path / "a", split=Split.rows(train=80, validation=30, test=20))
    by_file = prepare(files, schema, cache=tmp_path / "a", split=Split(by="files", file_counts=(2, 1, 1)))
    assert by_file.parts == {"train": 80, "validation": 30, "test": 20}
    assert equal(whole(by_file), whole(by_number))
    with pytest.raises(OptionError, match="wants at least three files, there are 2"):
        prepare(files[:2], schema, cache=tmp_path / "a", split=Split(by="files"))
    with pytest.raises(OptionError, match="needs a field of kind time"):
        prepare(files, schema, cache=tmp_path / "a", split=Split(cuts=(1.0, 2.0)))


def test_cuts_divide_by_the_time_column_in_order_of_time(
    tmp_path: Path, write_log: WriteLog, all_kinds: Schema
) -> None:
    log = write_log(tmp_path / "log.csv", 100, shuffled_time=True)
    assert all_kinds.time is not None
    with log.open() as lines:
        times = sorted(float(row[all_kinds.time.name]) for row in csv.DictReader(lines))
    cut = prepare(log, all_kinds, cache=tmp_path / "a", split=Split(cuts=(times[60], times[84])))
    by_number = prepare(log, all_kinds, cache=tmp_path / "a", split=Split.rows(train=60, validation=24, test=16))
    assert cut.parts == by_number.parts
    assert equal(whole(cut), whole(by_number))
