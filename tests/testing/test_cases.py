from __future__ import annotations

import pytest
import torch

from pocketrec.compress import size
from pocketrec.compress.methods.full import METHOD
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.testing.cases import (
    Cases,
    kept_in,
    learn,
    pools,
    public_tables,
    random_batch,
    refusal,
    small_tables,
    storages_of,
    zipf_stats,
)


def test_tables_of_criteo_kaggle_in_a_hundredth() -> None:
    tables = public_tables("rank")
    assert len(tables) == 26
    assert sum(t.closed_rows for t in tables) == 337_638 + 26, "each rounded down, and one unknown row each"


def test_zipf_counts_for_every_row_but_the_unknown() -> None:
    tables = small_tables("rank")
    stats = zipf_stats(tables)
    assert [stats[t.name].ids for t in tables] == [max(1, t.closed_rows - 1) for t in tables]


def test_a_method_may_take_some_storages_only() -> None:
    assert storages_of(METHOD) == STORAGES.names()
    assert (kept_in("full", "int4"), kept_in("deeplight", "int4"), kept_in("deeplight", "float16")) == (
        "int4", "float16", "float16",
    )  # fmt: skip


@pytest.mark.parametrize("space", ["rank", "plain", "hash63"])
def test_batches_have_duplicates_and_leave_rows_untouched(space: str) -> None:
    method = "robe" if space == "hash63" else "full"
    sizing = size(small_tables(space), "1x", method)  # type: ignore[arg-type]
    batch = random_batch(sizing, 3)
    assert torch.equal(batch.ids[0], batch.ids[1])
    for column, pool in enumerate(pools(sizing)):
        assert len(pool.unique()) == len(pool)
        assert torch.equal(pool[batch.positions[:, column]], batch.ids[:, column])
        assert len(batch.ids[:, column].unique()) < len(pool) or len(pool) == 2
    assert torch.equal(random_batch(sizing, 3).ids, batch.ids)
    assert not torch.equal(random_batch(sizing, 4).ids, batch.ids)


def test_hash_pools_are_63_bits_wide() -> None:
    pool = pools(size(small_tables("hash63"), "1x", "robe"))[2]
    assert pool.min() >= 0
    assert pool.max() > 2**62


def test_a_step_trains_rows_and_matrices() -> None:
    sizing = size(small_tables("plain"), "1x", "narrow", widen=True)
    bank = Cases().bank(sizing)
    before = {name: tensor.clone() for name, tensor in bank.tensors().items()}
    learn(bank, random_batch(sizing, 0))
    assert not torch.equal(bank.tensors()["0.rows"], before["0.rows"])
    assert not torch.equal(bank.tensors()["0.widen"], before["0.widen"])


def test_sized_is_a_share_or_the_floor() -> None:
    cases = type("Full", (Cases,), {"method": METHOD})()
    dense = dense_float32_bytes(small_tables("rank"))
    assert cases.sized({}, "rank").serve_bytes == dense
    assert cases.sized({}, "rank", storage="int8").budget_bytes < dense


def test_refusal_tells_what_was_raised() -> None:
    def fails() -> None:
        raise KeyError("no such row")

    assert isinstance(refusal(KeyError, fails, "such"), KeyError)
    with pytest.raises(AssertionError, match="was not raised"):
        refusal(KeyError, lambda: None)
    with pytest.raises(AssertionError, match="is not in"):
        refusal(KeyError, fails, "column")
    with pytest.raises(KeyError):
        refusal(ValueError, fails)
