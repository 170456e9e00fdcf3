from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pocketrec.compress import build, size
from pocketrec.native.binding import kernels
from pocketrec.native.prepared import Prepared
from pocketrec.spec.errors import IdError
from pocketrec.spec.table import TableSpec

needs_kernels = pytest.mark.skipif(kernels() is None, reason="pocketrec._native was not built, or POCKETREC_NATIVE=0")


def prepared(call: Any) -> Prepared:
    access = call.access
    return Prepared(
        call.regions, access.program, access.maps, access.storages, access.dim, access.parts, access.combining
    )


@needs_kernels
@pytest.mark.parametrize(
    "group",
    ["rows", "sum", "product", "hashes", "digits", "blocks", "signatures", "sets", "keyed_codes", "packed_codes"],
)
@pytest.mark.parametrize("storage", ["float32", "bfloat16", "int16", "int8", "int4"])
def test_it_gives_the_bits_of_the_op(make_call: Callable[..., Any], group: str, storage: str) -> None:
    call = make_call(group, storage=storage)
    made = prepared(call)
    assert torch.equal(made(kernels(), call.ids), call.lookup())
    strided = call.ids.t().contiguous().t()
    assert torch.equal(made(kernels(), strided), call.lookup())


GROUPS = ("rows", "sum", "product", "blocks", "signatures", "chains_3", "rings_2")


@needs_kernels
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("storage", ["float32", "bfloat16", "int8", "int4"])
def test_pairs_are_those_of_the_op(make_call: Callable[..., Any], group: str, storage: str) -> None:
    call = make_call(group, storage=storage)
    made, batch = prepared(call), len(call.ids)
    grad = torch.randn(call.lookup().shape, generator=torch.Generator().manual_seed(3))
    strided = torch.stack([grad, grad], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    for given in (grad, strided, torch.ones(()).expand(grad.shape)):
        expected = call.compact(given)
        for found, wanted in zip(made.compact(kernels(), given, call.ids), expected, strict=True):
            assert found.dtype is wanted.dtype
            assert torch.equal(found, wanted)
    with pytest.raises(ValueError, match="the shape of the lookup's output"):
        made.compact(kernels(), grad[: batch - 1], call.ids)
    with pytest.raises(TypeError, match="grad must be float32"):
        made.compact(kernels(), grad.double(), call.ids)
    with pytest.raises(ValueError, match="on one device"):
        made.compact(kernels(), grad.to("meta"), call.ids)


@needs_kernels
def test_wrong_ids_are_refused_as_by_the_op(make_call: Callable[..., Any]) -> None:
    call = make_call("rows")
    made = prepared(call)
    with pytest.raises(TypeError, match="must be int64"):
        made(kernels(), call.ids.int())
    with pytest.raises(ValueError, match=r"must be \[batch, columns\]"):
        made(kernels(), call.ids.flatten())
    with pytest.raises(ValueError, match="reads column"):
        made(kernels(), call.ids[:, :1])
    call.ids[1, 2] = -4
    with pytest.raises(IdError):
        made(kernels(), call.ids)


def test_maps_that_are_not_contiguous_are_refused(make_call: Callable[..., Any]) -> None:
    call = make_call("rows")
    call.access = call.access._replace(maps=call.access.maps.repeat_interleave(2)[::2])
    with pytest.raises(ValueError, match="must be contiguous"):
        prepared(call)


def test_a_bank_sees_what_is_written_to_it() -> None:
    bank = build(size([TableSpec(name="a", rows=5, dim=4)], "1x"), seed=0).eval()
    ids = torch.tensor([[1], [4]])
    first = bank(ids).clone()
    bank.tensors()["0.rows"].mul_(2)
    assert torch.equal(bank(ids), 2 * first)
    other = {name: tensor.clone().zero_() for name, tensor in bank.state_dict().items()}
    bank.load_state_dict(other, assign=True)
    assert not bool(bank(ids).any())
    bank.load_state_dict({name: tensor + 1 for name, tensor in other.items()})
    assert bool(bank(ids).all())


def test_a_bank_whose_seeds_were_written_hashes_anew() -> None:
    table = TableSpec(name="a", rows=1000, dim=4)
    bank, other = (build(size([table], "4x", "hash_rows"), seed=seed).eval() for seed in (0, 1))
    ids = torch.arange(50)[:, None]
    bank(ids)
    bank.load_state_dict(other.state_dict())
    assert torch.equal(bank(ids), other(ids))
