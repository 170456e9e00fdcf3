from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, join, size
from pocketrec.compress.jagged import bags_of, check_bags, data_rows, offsets_by_column, own_bags
from pocketrec.spec.errors import IdError, OptionError, UnknownName
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

SGD = OptimizerSpec(name="sgd", lr=0.5)


class Keyed:
    """Stands in for torchrec's KeyedJaggedTensor, after its documentation (checked once against torchrec 1.8.0).

    Values, and the lengths that say how they are cut, lie key by key; `stride` is the number of rows. With
    `stride_per_key` rows differ from key to key, and `stride` is the largest of them.
    """

    def __init__(
        self, keys: list[str], values: Tensor, lengths: Tensor, weights: Tensor | None = None,
        stride_per_key: list[int] | None = None, inverse_indices: Any = None,
    ) -> None:  # fmt: skip
        self._keys, self._values, self._lengths, self._weights = keys, values, lengths, weights
        self._stride_per_key, self._inverse_indices = stride_per_key, inverse_indices

    def keys(self) -> list[str]:
        return self._keys

    def values(self) -> Tensor:
        return self._values

    def offsets(self) -> Tensor:
        return torch.cat([self._lengths.new_zeros(1), self._lengths.cumsum(0).to(self._lengths.dtype)])

    def weights_or_none(self) -> Tensor | None:
        return self._weights

    def stride(self) -> int:
        return max(self._stride_per_key) if self._stride_per_key else self._lengths.numel() // len(self._keys)

    def inverse_indices_or_none(self) -> Any:
        return self._inverse_indices


def keyed(bags: dict[str, list[list[int]]], *, weighted: bool = False, **more: Any) -> Keyed:
    """A keyed input of these bags: per key, per row."""
    values = [i for rows in bags.values() for bag in rows for i in bag]
    lengths = [len(bag) for rows in bags.values() for bag in rows]
    weights = torch.arange(1, len(values) + 1) / 4 if weighted else None
    return Keyed(list(bags), torch.tensor(values, dtype=torch.int64), torch.tensor(lengths), weights, **more)


BAGS = {"a": [[1, 2], [], [3]], "b": [[4], [4, 4, 9], [5]], "c": [[], [1, 1], [8]]}
ORDERS = ["abc", "cab", "bca", "cba"]


def tables(*names: str) -> list[TableSpec]:
    return [TableSpec(name=n, rows=20, dim=4) for n in names]


def one_group() -> Sizing:
    return size(tables("a", "b", "c"), "1x", optimizer=SGD)


def two_groups() -> Sizing:
    a, b, c = tables("a", "b", "c")
    parts = [size([a, c], "1x", "hash_rows", optimizer=SGD), size([b], "1x", optimizer=SGD)]
    return join(parts, "abc", "1x")


SIZINGS = {"one group": one_group, "two groups": two_groups}


def reordered(order: str, **more: Any) -> Keyed:
    return keyed({name: BAGS[name] for name in order}, **more)


def expected(bank: Bank) -> Tensor:
    """Sums of the bags by plain indexing: [3, 3, 4]."""
    columns = [
        torch.stack([bank.rows(name, 0, 20)[bag].sum(0) if bag else torch.zeros(4) for bag in BAGS[name]])
        for name in "abc"
    ]
    return torch.stack(columns, dim=1)


# ---------------------------------------------------------------- what a bank makes of it


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sizing", SIZINGS)
def test_features_are_found_by_name_in_any_order(sizing: str, order: str) -> None:
    bank = build(SIZINGS[sizing](), seed=0).eval()
    torch.testing.assert_close(bank(reordered(order)), expected(bank))
    torch.testing.assert_close(freeze(bank)(reordered(order)), expected(bank))


@pytest.mark.parametrize("gradient", ["pairs", "sparse", "dense"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sizing", SIZINGS)
def test_gradients_and_steps_are_those_of_ids_and_offsets(sizing: str, order: str, gradient: Any) -> None:
    """The same bags, weighted, once keyed and once as a bank takes them."""
    ours, plain = (build(SIZINGS[sizing](), seed=0) for _ in range(2))
    features = reordered(order, weighted=True)
    starts = dict(zip(order, _starts(order), strict=True))
    taken = [starts[n] + k for n in "abc" for k in range(sum(map(len, BAGS[n])))]
    lengths = [len(bag) for n in "abc" for bag in BAGS[n]]
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    weights = features.weights_or_none()
    assert weights is not None
    factors = torch.arange(36.0).view(3, 3, 4) / 7
    for bank in (ours, plain):
        bank.gradient = gradient
        out = bank(features) if bank is ours else bank(features.values()[taken], offsets, weights[taken])
        (out * factors).sum().backward()
        bank.step() if gradient == "pairs" else torch.optim.SGD(bank.parameters(), lr=0.5).step()
    for name, tensor in ours.tensors().items():
        torch.testing.assert_close(tensor, plain.tensors()[name], msg=name)
    assert not torch.equal(ours.rows("b", 4, 5), build(SIZINGS[sizing](), seed=0).rows("b", 4, 5)), "it learned"


def _starts(order: str) -> list[int]:
    sizes = [sum(map(len, BAGS[n])) for n in order]
    return [sum(sizes[:k]) for k in range(len(order))]


def test_features_that_no_column_asks_for_are_left_alone() -> None:
    bank = build(size(tables("a", "c"), "1x"), seed=0).eval()
    out = bank(reordered("bca"))
    torch.testing.assert_close(out[0, 0], bank.rows("a", 0, 20)[[1, 2]].sum(0))
    torch.testing.assert_close(out[1, 1], bank.rows("c", 0, 20)[[1, 1]].sum(0))
    assert torch.equal(out, bank(reordered("ac")))


def test_a_missing_feature_is_named() -> None:
    with pytest.raises(UnknownName, match=r"No feature called 'a'.*Known: b, c"):
        build(one_group(), seed=0)(reordered("bc"))


def test_fields_may_share_a_table() -> None:
    fields = {"candidate": "a", "history": "a", "shop": "b"}
    bank = build(size(tables("a", "b"), "1x"), seed=0, fields=fields)
    assert bank.sizing.order == ("a", "a", "b")
    features = keyed({"history": [[1, 2]], "shop": [[3]], "candidate": [[2]]})
    out = bank(features)
    rows = bank.rows("a", 0, 20)
    torch.testing.assert_close(out[0, :2], torch.stack([rows[2], rows[1] + rows[2]]))
    assert torch.equal(freeze(bank)(features), out), "the serving form has the same fields"


def test_shared_tables_without_names_are_refused() -> None:
    sizing = build(size(tables("a"), "1x"), seed=0, fields={"x": "a", "y": "a"}).sizing
    with pytest.raises(OptionError, match=r"a, a.*fields=\{name: table"):
        build(sizing, seed=0)(keyed({"a": [[1]]}))


def test_fields_that_leave_a_table_out_are_refused() -> None:
    with pytest.raises(OptionError, match="every table"):
        build(one_group(), seed=0, fields={"x": "a", "y": "b"})
    with pytest.raises(OptionError, match="do not fit"):
        Bank(one_group(), [{}], form="train", fields={"x": "b", "y": "a", "z": "c"})


def test_plain_ids_are_limited_by_their_table_also_in_another_order() -> None:
    bank = build(one_group(), seed=0)
    for order in ("abc", "cab"):
        with pytest.raises(IdError, match="Id 20 is not in table 'b'"):
            bank(keyed({n: [[20 if n == "b" else 19]] for n in order}))
    bank(keyed({"x": [[99]], "c": [[1]], "b": [[2]], "a": [[3]]}))  # what nobody reads is not judged


def test_no_rows_and_no_values() -> None:
    for sizing in SIZINGS.values():
        bank = build(sizing(), seed=0)
        assert bank(keyed({n: [] for n in "cba"})).shape == (0, 3, 4)
        assert bank(keyed({n: [] for n in "abc"})).shape == (0, 3, 4)
        assert bank(keyed({n: [[], []] for n in "cba"})).eq(0).all()


def test_keyed_input_comes_alone_and_in_order_for_single_values() -> None:
    bank = build(one_group(), seed=0)
    with pytest.raises(OptionError, match="give it alone"):
        bank(reordered("abc"), torch.tensor([0]))
    assert bank(reordered("abc"), pool="none").shape == (11, 4)
    with pytest.raises(OptionError, match="order of the bank's columns"):
        bank(reordered("bca"), pool="none")


@pytest.mark.parametrize("order", ["abc", "cab"])
def test_a_frozen_bank_compiles_whole_with_keyed_input(order: str) -> None:
    served, features = freeze(build(two_groups(), seed=0)), reordered(order)
    torch._dynamo.reset()
    compiled = torch.compile(served, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(features), served(features))


@pytest.mark.parametrize("order", ["abc", "cab"])
def test_a_training_bank_compiles_whole_with_keyed_input(order: str) -> None:
    bank, features = build(one_group(), seed=0), reordered(order)
    bank.gradient = "dense"
    torch._dynamo.reset()
    out = torch.compile(bank, backend="aot_eager", fullgraph=True)(features)
    out.square().sum().backward()
    found = [p.grad.clone() for p in bank.parameters() if p.grad is not None]
    bank.zero_grad()
    bank(features).square().sum().backward()
    torch.testing.assert_close(found, [p.grad for p in bank.parameters()])
    assert found


# ---------------------------------------------------------------- the function


def test_equal_order_passes_offsets_through() -> None:
    bags = bags_of(reordered("abc"), "abc")
    assert bags.offsets.tolist() == [0, 2, 2, 3, 4, 7, 8, 8, 10, 11]
    assert bags.weights is None


def test_other_orders_pick_offsets_and_leave_values_where_they_are() -> None:
    features = reordered("abc", weighted=True)
    bags = bags_of(features, ["c", "a", "c"])
    assert bags.offsets.tolist() == [[8, 8, 10, 11], [0, 2, 2, 3], [8, 8, 10, 11]]
    assert bags.ids.data_ptr() == features.values().data_ptr()
    assert torch.equal(bags.weights, torch.arange(1, 12) / 4)


def test_narrow_integers_become_int64() -> None:
    features = Keyed(["a"], torch.tensor([1, 2], dtype=torch.int32), torch.tensor([2], dtype=torch.int32))
    bags = bags_of(features, ["a"])
    assert (bags.ids.dtype, bags.offsets.dtype) == (torch.int64, torch.int64)


@pytest.mark.parametrize("values", [torch.tensor([1.0]), torch.tensor([True])])
def test_ids_are_integers(values: Tensor) -> None:
    with pytest.raises(OptionError, match="ids, which are integers"):
        bags_of(Keyed(["a"], values, torch.tensor([1])), ["a"])


def test_variable_strides_are_refused() -> None:
    uneven = Keyed(["a", "b"], torch.arange(5), torch.tensor([2, 0, 3]), stride_per_key=[2, 1])
    with pytest.raises(OptionError, match="same batch size: 2 features of 2 rows have 5 offsets, these are 4"):
        bags_of(uneven, ["a", "b"])
    folded = Keyed(["a"], torch.arange(2), torch.tensor([1, 1]), inverse_indices=(["a"], torch.tensor([[0, 1, 0]])))
    with pytest.raises(OptionError, match="inverse indices"):
        bags_of(folded, ["a"])


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(OptionError, match="twice"):
        bags_of(Keyed(["a", "a"], torch.arange(2), torch.tensor([1, 1])), ["a"])


def test_offsets_of_some_columns() -> None:
    flat = torch.tensor([0, 2, 2, 3, 5])
    assert offsets_by_column(flat, 2, [1, 0]).tolist() == [[2, 3, 5], [0, 2, 2]]
    assert offsets_by_column(torch.tensor([[0, 2, 2], [2, 3, 5]]), 2, [1]).tolist() == [[2, 3, 5]]
    assert offsets_by_column(torch.tensor([7]), 2, [0]).tolist() == [[7]], "a batch of no rows"
    with pytest.raises(OptionError, match=r"2 columns must hold 2 x batch \+ 1 numbers .*, got 4"):
        offsets_by_column(flat[:4], 2, [0])
    with pytest.raises(OptionError, match="3 columns"):
        build(two_groups(), seed=0)(torch.tensor([1, 2]), torch.tensor([0, 1, 2]))


# ---------------------------------------------------------------- bags of their own


def test_bags_get_values_of_their_own() -> None:
    ids, weights = torch.tensor([9, 1, 2, 3, 8]), torch.arange(5.0)
    bags = own_bags(ids, torch.tensor([[1, 3, 4], [2, 2, 4]]), weights)
    assert bags.ids.tolist() == [1, 2, 3, 2, 3]
    assert bags.offsets.tolist() == [0, 2, 3, 3, 5]
    assert bags.weights is not None
    assert bags.weights.tolist() == [1, 2, 3, 2, 3]
    none = own_bags(ids, torch.tensor([[1], [2]]), None)
    assert (none.ids.numel(), none.offsets.tolist(), none.weights) == (0, [0], None)


@pytest.mark.parametrize("offsets", [[0, 2, 1], [-1, 0], [0, 4], [[0, 1], [2, 1]]])
def test_offsets_that_fall_or_leave_the_ids_are_refused(offsets: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"must not fall and lie in 0\.\.3 .* bag \d runs from"):
        check_bags(torch.tensor([1, 2, 3]), torch.tensor(offsets))
    check_bags(torch.tensor([1, 2, 3]), torch.tensor([0, 0, 3]))


def test_data_rows_of_ids_and_of_bags() -> None:
    ids = torch.zeros(5, 3, dtype=torch.int64)
    assert data_rows(ids, None, 3) == 5
    assert data_rows(ids.view(-1), torch.arange(16), 3) == 5
    assert data_rows(ids.view(-1), torch.tensor([[0, 2, 5], [5, 9, 10], [10, 10, 15]]), 3) == 2
