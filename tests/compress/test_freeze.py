from __future__ import annotations

import pytest
import torch

from pocketrec.compress import attach, build, freeze, size
from pocketrec.compress.freeze import encoded
from pocketrec.compress.storage import STORAGES
from pocketrec.native.huge_pages import HUGE_PAGE_BYTES, LEAST_BYTES, state
from pocketrec.spec.errors import ArtifactError
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


@pytest.mark.parametrize(("storage", "other"), [("int8", "int4"), ("int4", "int8")])
@pytest.mark.parametrize("method", ["full", "robe"])
def test_rows_of_other_bytes_are_refused(method: str, storage: str, other: str) -> None:
    """As a file may hold them that lies about its storage, or was damaged."""
    sizing = size(TABLES, "1x", method, storage=storage)
    tensors = freeze(build(sizing, seed=0)).tensors()
    codes = "0.rows" if method == "full" else "0.array"
    for wrong in (tensors[codes][:, :-1].contiguous(), torch.cat([tensors[codes], tensors[codes][:, :1]], dim=1)):
        with pytest.raises(ArtifactError, match=codes.removeprefix("0.")):
            attach(sizing, {**tensors, codes: wrong})
    with pytest.raises(ArtifactError, match=codes.removeprefix("0.")):
        attach(size(TABLES, "1x", method, storage=other), tensors)


@pytest.mark.parametrize("storage", ["int8", "int4"])
@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_scales_that_are_not_numbers_spoil_their_own_rows(storage: str, number: float) -> None:
    sizing = size(TABLES, "1x", storage=storage, init=1.0)
    served = freeze(build(sizing, seed=0))
    ids = torch.stack([torch.arange(20), torch.arange(20)], dim=1)
    before, tensors = served(ids), {name: t.clone() for name, t in served.tensors().items()}
    dtype, tail = (torch.float32, 8) if storage == "int8" else (torch.float16, 4)
    tensors["0.rows"][3, -tail:] = torch.tensor([number, 0.0], dtype=dtype).view(torch.uint8)
    found = attach(sizing, tensors)(ids)
    assert not found[3, 0].isfinite().any()
    found[3, 0] = before[3, 0]
    assert torch.equal(found, before)


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


def test_tensors_that_are_given_are_served_in_place_of_the_groups_own() -> None:
    tables = [TableSpec(name="t", rows=100, dim=4, ids="plain")]
    bank = build(size(tables, 900, "hash_rows", storage="int8"), seed=0)
    group = bank.group_of("t")
    rows = group.tensor("rows").detach().flip(0)
    found = encoded(group, {"rows": rows, "seed": torch.tensor([7])})
    assert torch.equal(found["rows"], encoded(group)["rows"].flip(0))
    assert int(found["seed"]) == 7
    assert list(found) == list(encoded(group))
