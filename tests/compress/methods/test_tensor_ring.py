from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.methods.tensor_ring import METHOD
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of
from pocketrec.testing.method_contract import MethodContract


class TestTensorRing(MethodContract):
    method = METHOD
    variants = ({}, {"cores": 2}, {"cores": 4}, {"outer": 2}, {"start": "normal"})


def ring(rows: int, *, seed: int = 0, **options: object) -> Bank:
    table = TableSpec(name="t", rows=rows, dim=16)
    return build(size([table], "1x", "tensor_ring", **options), seed=seed)


def test_bytes_are_those_of_the_cores() -> None:
    """(outer n1 2 + n2 2 R + outer n3 4) x R, with the R of all cores where no outer one is given."""
    table = [TableSpec(name="t", rows=216 * 217 * 217, dim=16)]
    for options, outer in (({}, 12), ({"outer": 3}, 3), ({"outer": 1}, 1)):
        (cores,) = size(table, "1%", "tensor_ring", rank=12, **options).groups
        assert cores.serve_bytes == 4 * 12 * (outer * 216 * 2 + 12 * 217 * 2 + outer * 217 * 4)


def test_vectors_are_traces_of_products() -> None:
    """By the definition in Zhao et al., from the tensor that the artifact holds, in plain torch."""
    bank = ring(60, rank=3, outer=2)
    (group,) = groups_of(bank)
    p1, p2, p3 = group.sizing.tables[0].settings["factors"]
    first, middle, last = torch.split(group.tensor("cores").detach(), [p1 * 2 * 2, p2 * 3 * 2, p3 * 2 * 4])
    first, middle, last = first.view(p1, 2, 2, 3), middle.view(p2, 3, 2, 3), last.view(p3, 2, 4, 3)
    whole = torch.einsum("ixar,jrbs,kxcs->ijkabc", first, middle, last).reshape(p1 * p2 * p3, 16)
    torch.testing.assert_close(bank.rows("t", 0, 60), whole[:60])


def test_with_an_outer_rank_of_one_it_is_a_tensor_train() -> None:
    tables = [TableSpec(name="t", rows=5000, dim=16), TableSpec(name="small", rows=7, dim=16)]
    ours, train = (
        build(size(tables, "20x", m, **o), seed=3) for m, o in (("tensor_ring", {"outer": 1}), ("tt_rec", {}))
    )
    assert ours.sizing.serve_bytes == train.sizing.serve_bytes
    assert torch.equal(ours.rows("t", 0, 5000), train.rows("t", 0, 5000))


@pytest.mark.parametrize("cores", [2, 3, 4])
@pytest.mark.parametrize(("rank", "outer"), [(2, None), (8, None), (6, 3)])
@pytest.mark.parametrize("start", ["tail_normal", "normal"])
def test_starting_values_have_their_variance(start: str, rank: int, outer: int | None, cores: int) -> None:
    """That of DLRM's U(-sqrt(1 / n), sqrt(1 / n)): the sum has outer x rank^(cores - 1) terms."""
    rows, found = 3000, []
    for seed in range(6):
        found.append(
            ring(rows, seed=seed, rank=rank, outer=outer, cores=cores, start=start).rows("t", 0, rows).detach()
        )
    numbers = torch.stack(found)
    assert abs(float(numbers.std()) / math.sqrt(1 / (3 * rows)) - 1) < 0.12
    assert abs(float(numbers.mean())) < 0.05 * math.sqrt(1 / (3 * rows))


def test_every_id_has_a_vector_of_its_own() -> None:
    assert len(ring(1000, rank=4).rows("t", 0, 1000).unique(dim=0)) == 1000


def test_a_step_is_that_of_autograd_over_the_definition() -> None:
    bank = ring(60, rank=3)
    (group,) = groups_of(bank)
    factors = group.sizing.tables[0].settings["factors"]
    held = group.tensor("cores").detach().clone().requires_grad_()
    p1, p2, p3 = factors
    first, middle, last = torch.split(held, [p1 * 3 * 2, p2 * 3 * 2, p3 * 3 * 4])
    first, middle, last = first.view(p1, 3, 2, 3), middle.view(p2, 3, 2, 3), last.view(p3, 3, 4, 3)
    whole = torch.einsum("ixar,jrbs,kxcs->ijkabc", first, middle, last).reshape(p1 * p2 * p3, 16)
    ids = torch.tensor([[4], [59], [4]])
    (whole[ids[:, 0]].square().sum()).backward()
    bank(ids).square().sum().backward()
    bank.collect()
    pairs = bank.pending[0]
    assert held.grad is not None
    torch.testing.assert_close(torch.zeros_like(held).index_copy_(0, pairs.addresses, pairs.grads), held.grad)


def test_what_is_refused() -> None:
    with pytest.raises(OptionError, match=r"outer must lie in 1\.\.4096, got 0"):
        METHOD(outer=0)
    with pytest.raises(OptionError, match="start must be one of tail_normal, normal"):
        METHOD(start="published")  # type: ignore[arg-type]
