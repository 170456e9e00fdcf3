from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.methods.dpq import METHOD
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of, random_batch
from pocketrec.testing.method_contract import MethodContract

# How far a storage is off, as a share of the largest number.
STEPS = {"float32": 0.0, "float16": 1e-3, "bfloat16": 1e-2, "int16": 1e-4, "int8": 1e-2, "alpt": 1e-2, "int4": 0.14}


class TestDPQ(MethodContract):
    method = METHOD
    variants = ({}, {"parts": 2, "codewords": 16}, {"quantiser": "sx", "codewords": 32})

    def test_freezing_stays_within_a_step(self, variant: Mapping[str, Any], storage: str) -> None:
        """Codes are made when it is frozen; in float32 nothing is lost by that."""
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        bank = self.bank(sizing, steps=2).eval()
        served, ids = freeze(bank), random_batch(sizing, 5).ids
        with torch.no_grad():
            exact, near = bank(ids), served(ids)
        step = STEPS[storage.removesuffix("_trained")]
        assert float((near - exact).abs().max()) <= step * float(exact.abs().max())


def one_table(**options: Any) -> Bank:
    """800 rows of 6 numbers in three blocks of two, with 16 codewords each."""
    table = TableSpec(name="t", rows=800, dim=6)
    options = {"parts": 3, "codewords": 16, "init": 1.0, **options}
    return build(size([table], "2x", "dpq", **options), seed=3)


def held(bank: Bank, name: str) -> Tensor:
    (group,) = groups_of(bank)
    return group.tensor(name)


def test_an_id_has_the_nearest_codeword_of_each_block_and_serving_keeps_it() -> None:
    bank = one_table()
    queries, centroids = held(bank, "queries").detach().view(800, 3, 1, 2), held(bank, "centroids").detach()[0]
    codes = (queries.double() - centroids.double()).square().sum(3).argmin(2)
    expected = torch.stack([centroids[block, codes[:, block]] for block in range(3)], dim=1).flatten(1)
    ids = torch.arange(800)[:, None]
    with torch.no_grad():
        assert torch.equal(bank.eval()(ids)[:, 0], expected)
    served = freeze(bank)
    assert torch.equal(served(ids)[:, 0], expected), "to the bit"
    words = held(served, "codes").numpy().view("uint32")
    written = sum(int(word) << 32 * at for at, word in enumerate(words))
    assert [written >> 4 * at & 15 for at in range(2400)] == codes.flatten().tolist(), "four bits each, nothing between"


def test_inner_products_with_keys_choose_values() -> None:
    bank = one_table(quantiser="sx")
    queries, keys = held(bank, "queries").detach().view(800, 3, 1, 2), held(bank, "keys").detach()[0]
    codes, values = (queries.double() * keys.double()).sum(3).argmax(2), held(bank, "values").detach()[0]
    expected = torch.stack([values[block, codes[:, block]] for block in range(3)], dim=1).flatten(1)
    with torch.no_grad():
        assert torch.equal(bank.eval()(torch.arange(800)[:, None])[:, 0], expected)
    assert torch.equal(freeze(bank)(torch.arange(800)[:, None])[:, 0], expected)


def gradients(bank: Bank, ids: Tensor, upstream: Tensor) -> dict[str, Tensor]:
    """By name, of the sum of vectors times these numbers."""
    bank.gradient = "dense"
    (bank(ids[:, None])[:, 0] * upstream).sum().backward()
    (group,) = groups_of(bank)
    found = {s.name: group.tensor(s.name).grad for s in group.sizing.train}
    assert all(g is not None for g in found.values())
    return found  # type: ignore[return-value]  # the line above


def test_rows_take_the_gradient_as_it_is_and_codewords_are_pulled_to_them() -> None:
    bank, ids = one_table(pull=0.5), torch.tensor([5, 9, 5, 700])
    upstream = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    queries = held(bank, "queries").detach().view(800, 3, 2)
    centroids = held(bank, "centroids").detach().clone().requires_grad_()
    found = gradients(bank, ids, upstream)
    assert torch.equal(found["queries"], torch.zeros(800, 6).index_add(0, ids, upstream)), "straight through"

    codes = (queries[:, :, None] - centroids[0]).square().sum(3).argmin(2)
    chosen = torch.stack([centroids[0, block, codes[ids, block]] for block in range(3)], dim=1)
    loss = 0.5 * (chosen - queries[ids]).square().mean()
    torch.testing.assert_close(found["centroids"], torch.autograd.grad(loss, centroids)[0])


def test_nothing_pulls_where_the_weight_is_0() -> None:
    found = gradients(one_table(pull=0.0), torch.tensor([5, 9]), torch.ones(2, 6))
    assert not found["centroids"].any()


def test_gradients_of_softmax_are_those_that_the_formula_says() -> None:
    """A one-hot choice in the place of the softmax, whose gradient is the softmax's."""
    bank, ids = one_table(quantiser="sx"), torch.tensor([5, 9, 5, 700])
    upstream = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    queries, keys, values = (held(bank, n).detach().clone().requires_grad_() for n in ("queries", "keys", "values"))
    products = (queries.view(800, 3, 1, 2)[ids] * keys[0]).sum(3)
    soft = products.softmax(2)
    hard = torch.nn.functional.one_hot(products.argmax(2), 16).float()
    choice = soft - (soft - hard).detach()
    vectors = (choice[..., None] * values[0]).sum(2).flatten(1)
    expected = torch.autograd.grad((vectors * upstream).sum(), [queries, keys, values])
    found = gradients(bank, ids, upstream)
    for name, gradient in zip(("queries", "keys", "values"), expected, strict=True):
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_codewords_come_nearer_to_rows() -> None:
    bank = one_table(init=0.5)
    ids = torch.arange(800)[:, None]
    nets, apart = torch.optim.SGD(bank.matrices(), lr=20.0), []
    for _ in range(20):
        vectors = bank(ids)
        apart.append(float((vectors[:, 0] - held(bank, "queries")).detach().square().mean()))
        (vectors * 0).sum().backward()
        nets.step()
        nets.zero_grad()
        bank.discard()
    assert apart[-1] < 0.7 * apart[0]


def test_bytes_are_those_of_packed_codes_and_codewords() -> None:
    table = TableSpec(name="t", rows=10_001, dim=16)
    (group,) = size([table], "16x", "dpq", parts=4, codewords=32).groups
    assert group.settings["bits"] == 5
    assert group.serve_bytes == 4 * -(-10_001 * 4 * 5 // 32) + 4 * 32 * 16
    (group,) = size([table], "16x", "dpq", parts=4, codewords=32, storage="int8").groups
    assert group.serve_bytes == 4 * -(-10_001 * 4 * 5 // 32) + 32 * 16 + 8 * 8


def test_codes_become_shorter_until_they_fit_and_the_floor_is_one_bit() -> None:
    table = TableSpec(name="t", rows=10_000, dim=16)
    sizes = [10_000 * 4, 10_000 * 3, 10_000, 5_000, 2_600]
    spent = []
    for budget in sizes:
        sizing = size([table], budget, "dpq")
        spent.append((sizing.groups[0].settings["blocks"], sizing.groups[0].settings["bits"]))
        assert sizing.serve_bytes <= budget
    assert spent == [(4, 6), (4, 5), (2, 3), (1, 3), (1, 1)]
    with pytest.raises(BudgetTooSmall) as refused:
        size([table], 1_000, "dpq")
    assert refused.value.least_bytes == 4 * -(-10_000 // 32) + 2 * 64


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parts": 0}, "parts must be 1 or more"),
        ({"codewords": 1}, r"codewords must be a power of two in 2\.\.65536"),
        ({"codewords": 100}, r"codewords must be a power of two in 2\.\.65536"),
        ({"codewords": 2**17}, r"codewords must be a power of two in 2\.\.65536"),
        ({"quantiser": "pq"}, "quantiser must be vq or sx"),
        ({"pull": -1.0}, "pull must be 0 or more"),
    ],
)
def test_other_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        METHOD(**options)
