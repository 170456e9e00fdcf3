from __future__ import annotations

import pytest
import torch

import pocketrec.compress.freeze  # noqa: F401  the module, whose name the function has
from pocketrec.compress import build, freeze, size
from pocketrec.compress.storage import STORAGES
from pocketrec.native.huge_pages import HUGE_PAGE_BYTES, LEAST_BYTES, state
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name="a", rows=50, dim=8), TableSpec(name="b", rows=20, dim=8)]


@pytest.mark.parametrize("storage", STORAGES.names())
def test_rows_are_converted_in_chunks_as_in_one(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    bank = build(size(TABLES, "1x", "narrow", storage=storage, init=1.0), seed=0)
    whole = freeze(bank).tensors()["0.rows"]
    monkeypatch.setattr(sys.modules["pocketrec.compress.freeze"], "_CHUNK_ROWS", 7)
    assert torch.equal(freeze(bank).tensors()["0.rows"], whole)


def test_a_frozen_bank_is_frozen_already() -> None:
    with pytest.raises(AssertionError, match="frozen already"):
        freeze(freeze(build(size(TABLES, "1x"), seed=0)))


def test_padding_stays() -> None:
    served = freeze(build(size(TABLES, "1x"), seed=0, padding={"a": 3}))
    assert not served(torch.tensor([[3, 3]]))[0, 0].any()
    assert served(torch.tensor([[3, 3]]))[0, 1].all()


def test_matrices_and_seeds_are_kept_as_they_are() -> None:
    bank = build(size(TABLES, "2x", "narrow", storage="int8", widen=True), seed=0)
    served = freeze(bank)
    assert torch.equal(served.tensors()["0.widen"], bank.tensors()["0.widen"])
    hashed = build(size(TABLES, "2x", "robe"), seed=0)
    assert torch.equal(freeze(hashed).tensors()["0.seed"], hashed.tensors()["0.seed"])


def test_a_frozen_bank_does_not_train() -> None:
    served = freeze(build(size(TABLES, "1x"), seed=0)).train()
    assert not served(torch.tensor([[1, 2]])).requires_grad
    assert not list(served.parameters())


@pytest.mark.parametrize("storage", ["float32", "int8"])
@pytest.mark.parametrize("method", ["full", "robe"])
def test_large_tables_lie_on_huge_pages_and_hold_their_own_bytes_only(method: str, storage: str) -> None:
    if state() != "on":
        pytest.skip(f"huge pages are {state()}")
    sizing = size(
        [TableSpec(name="a", rows=2**17, dim=72)], "1x" if method == "full" else "9MiB", method, storage=storage
    )
    bank = build(sizing, seed=0)
    served = freeze(bank)
    assert (bank.held_bytes(), served.held_bytes()) == (sizing.train_bytes, sizing.serve_bytes)
    large = [t for b in (bank, served) for t in b.tensors().values() if t.nbytes >= LEAST_BYTES]
    assert len(large) >= 2
    for tensor in large:
        assert tensor.data_ptr() % HUGE_PAGE_BYTES == 0
        assert tensor.untyped_storage().nbytes() == tensor.nbytes
