from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pocketrec.data import batches as module
from pocketrec.data import shuffle
from pocketrec.data.batches import Batch, Order, Stored, StoredBags, batches, order_of
from pocketrec.data.statistics import MISSING_HASH
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import Head, IdSpace

N = 700
SPAN = (50, 650)


def stored(*, weight: bool = True, label: bool = True, ranks_only: bool = False) -> Stored:
    rows = np.arange(N)
    tokens = np.append(0, np.arange(1, 100) * 1_000_003)
    return Stored(
        dense=np.stack([rows, -rows], axis=1).astype(np.float32),
        ranks=np.stack([rows % 100, rows % 7], axis=1).astype(np.int32),
        ids=np.zeros((N, 0), np.int64) if ranks_only else (rows[:, None] + 2**40).astype(np.int64),
        label=(rows % 2).astype(np.float32) if label else None,
        weight=(rows / 10).astype(np.float32) if weight else None,
        columns=[(True, 0), (True, 1)] if ranks_only else [(True, 1), (False, 0), (True, 0)],
        tokens=[tokens, tokens] if ranks_only else [tokens, None, tokens],
    )


SPACES: tuple[IdSpace, ...] = ("rank", "plain", "rank")


def epoch(order: Order = "time", size: int = 64, *, seed: int = 1, number: int = 0, start: int = 0) -> list[Batch]:
    windows = order_of(order, SPAN[1] - SPAN[0], seed=seed, epoch=number)
    return list(batches(stored(), SPAN, SPACES, batch_size=size, windows=windows, start=start))


def row_numbers(of: list[Batch]) -> list[int]:
    return [int(row) for batch in of for row in batch.dense[:, 0].tolist()]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "BLOCK_ROWS", 16)
    monkeypatch.setattr(shuffle, "WINDOW_BLOCKS", 5)
    monkeypatch.setattr(module, "_READ_ROWS", 100)


@pytest.mark.parametrize("size", [1, 64, 100, 130, 600, 10_000])
@pytest.mark.parametrize("order", ["time", "shuffle"])
def test_an_epoch_gives_every_row_of_its_parts_once(order: Order, size: int) -> None:
    got = epoch(order, size)
    rows = row_numbers(got)
    assert sorted(rows) == list(range(*SPAN))
    assert (rows == sorted(rows)) == (order == "time")
    assert [batch.index for batch in got] == list(range(-(-600 // size)))
    assert [batch.rows for batch in got] == [(k * size, min(600, (k + 1) * size)) for k in range(len(got))]


@pytest.mark.parametrize("order", ["time", "shuffle"])
def test_rows_stay_whole_and_tensors_have_their_types(order: Order) -> None:
    for batch in epoch(order):
        row = batch.dense[:, 0].to(torch.int64)
        assert batch.weight is not None
        assert torch.equal(batch.dense[:, 1], -batch.dense[:, 0])
        assert torch.equal(batch.ids, torch.stack([row % 7, row + 2**40, row % 100], dim=1))
        assert torch.equal(batch.label, (row % 2).to(torch.float32))
        assert torch.equal(batch.weight, (row.to(torch.float64) / 10).to(torch.float32))
        assert (batch.dense.dtype, batch.ids.dtype, batch.label.dtype) == (torch.float32, torch.int64, torch.float32)
        assert batch.ids.is_contiguous()


@pytest.mark.parametrize("order", ["time", "shuffle"])
def test_batch_k_of_epoch_e_does_not_depend_on_what_was_read_before(order: Order) -> None:
    whole = epoch(order, 37, number=3)
    for k in (0, 1, 5, len(whole) - 1):
        again = epoch(order, 37, number=3, start=k)
        assert len(again) == len(whole) - k
        assert torch.equal(again[0].ids, whole[k].ids)
        assert (again[0].index, again[0].rows) == (k, whole[k].rows)


def test_every_epoch_and_seed_is_shuffled_anew() -> None:
    base = row_numbers(epoch("shuffle"))
    assert row_numbers(epoch("shuffle")) == base
    assert row_numbers(epoch("shuffle", number=1)) != base
    assert row_numbers(epoch("shuffle", seed=2)) != base
    assert row_numbers(epoch("time", number=1)) == row_numbers(epoch("time"))


def test_ranks_come_as_hashes_where_they_are_wanted() -> None:
    windows = order_of("shuffle", 600, seed=0, epoch=0)
    hashed: tuple[IdSpace, ...] = ("hash63", "plain", "rank")
    for batch in batches(stored(), SPAN, hashed, batch_size=64, windows=windows, start=0):
        row = batch.dense[:, 0].to(torch.int64)
        assert torch.equal(batch.ids[:, 0], row % 7 * 1_000_003)
        assert torch.equal(batch.ids[:, 2], row % 100)


@pytest.mark.parametrize("head", [0, 1, 5, 98, 99, 2**40])
def test_of_a_head_the_first_ranks_stay_and_the_others_come_as_hashes(head: int) -> None:
    windows = order_of("shuffle", 600, seed=0, epoch=0)
    for batch in batches(stored(), SPAN, (Head(head), "plain", Head(head)), batch_size=64, windows=windows, start=0):
        row = batch.dense[:, 0].to(torch.int64)
        for column, ranks in ((0, row % 7), (2, row % 100)):
            assert torch.equal(batch.ids[:, column], torch.where(ranks <= head, ranks, ranks * 1_000_003))
        assert batch.ids.dtype == torch.int64


def test_of_a_head_bags_hold_ranks_and_hashes_too() -> None:
    offsets, held = np.arange(N + 1, dtype=np.int64) * 3, stored(ranks_only=True)
    values = (np.arange(3 * N) % 50).astype(np.int32)
    bags = replace(held, bags=[StoredBags(values=values, offsets=offsets), None], mean=[False, False])
    windows = order_of("time", 600, seed=0, epoch=0)
    for batch in batches(bags, SPAN, (Head(20), Head(3)), batch_size=64, windows=windows, start=0):
        first, count = SPAN[0] + batch.rows[0], batch.rows[1] - batch.rows[0]
        ranks = torch.cat([torch.arange(3 * first, 3 * (first + count)) % 50, torch.arange(first, first + count) % 7])
        last = torch.tensor([20, 3]).repeat_interleave(torch.tensor([3 * count, count]))
        assert torch.equal(batch.ids, torch.where(ranks <= last, ranks, ranks * 1_000_003))


def test_ranks_alone_take_the_short_way_to_the_same_ids() -> None:
    windows = order_of("time", N, seed=0, epoch=0)
    (batch,) = batches(stored(ranks_only=True), (0, N), ("rank", "rank"), batch_size=N, windows=windows, start=0)
    assert batch.ids[:, 0].tolist() == [i % 100 for i in range(N)]
    assert batch.ids.dtype == torch.int64


def test_batches_are_memory_of_their_own() -> None:
    source = stored()
    windows = order_of("time", 600, seed=0, epoch=0)
    first = next(batches(source, SPAN, SPACES, batch_size=8, windows=windows, start=0))
    first.dense.zero_()
    first.label.fill_(9)
    assert source.dense[50, 0] == 50
    assert source.label is not None
    assert source.label.max() == 1


def test_without_labels_and_weights() -> None:
    windows = order_of("time", 600, seed=0, epoch=0)
    source = stored(weight=False, label=False)
    got = list(batches(source, SPAN, SPACES, batch_size=70, windows=windows, start=0))
    assert all(batch.weight is None and batch.label.shape == (0,) for batch in got)


def test_no_rows_no_batches() -> None:
    for order in ("time", "shuffle"):
        windows = order_of(order, 0, seed=0, epoch=0)  # type: ignore[arg-type]
        assert list(batches(stored(), (5, 5), SPACES, batch_size=3, windows=windows, start=0)) == []


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(OptionError, match="'time' or 'shuffle', got 'random'"):
        order_of("random", 5, seed=0, epoch=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["time", "shuffle"])
@pytest.mark.parametrize("field", [0, 1])
def test_a_batch_says_whose_rows_they_are_in_whatever_space_ids_are_wanted(order: Order, field: int) -> None:
    held = replace(stored(), user=field)
    held.tokens[0][5] = MISSING_HASH  # type: ignore[index]
    for spaces in (SPACES, ("hash63", "plain", "hash63")):
        windows = order_of(order, SPAN[1] - SPAN[0], seed=1, epoch=0)
        for batch in batches(held, SPAN, spaces, batch_size=64, windows=windows, start=0):  # type: ignore[arg-type]
            rows = batch.dense[:, 0].long()
            assert batch.user is not None
            if field == 1:  # an id of its own, taken as it is
                assert torch.equal(batch.user, rows + 2**40)
            else:  # ranks: the hash of the token, and -1 for the missing one
                ranks = rows % 7
                assert torch.equal(batch.user, torch.where(ranks == 5, -1, ranks * 1_000_003))
    assert all(batch.user is None for batch in epoch())
