from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, join, layout, size
from pocketrec.compress.pairs import Pairs
from pocketrec.spec.errors import IdError, NotFinite, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

SGD = OptimizerSpec(name="sgd", lr=1.0)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(optimizer: OptimizerSpec = SGD, rows: tuple[int, ...] = (10, 7), dim: int = 3) -> Sizing:
    return size([TableSpec(name=f"t{i}", rows=n, dim=dim) for i, n in enumerate(rows)], "1x", optimizer=optimizer)


def mixed() -> Sizing:
    """Three methods, their tables interleaved, one column per table."""
    tables = [TableSpec(name=n, rows=200, dim=4) for n in "abcde"]
    a, b, c, d, e = tables
    parts = [size([a, d], "2x", "hash_rows"), size([b, e], "4x", "robe"), size([c], "4x", "quotient_remainder")]
    return join(parts, "abcde", "2x")


IDS = torch.tensor([[1, 2, 3, 4, 5], [1, 190, 3, 199, 0], [7, 7, 7, 7, 7]])


# ---------------------------------------------------------------- several groups


def test_a_mixed_bank_returns_columns_in_the_order_of_the_sizing() -> None:
    bank = build(mixed(), seed=0)
    assert len(bank.groups) == 3
    vectors = bank(IDS)
    assert vectors.shape == (3, 5, 4)
    for column, name in enumerate("abcde"):
        torch.testing.assert_close(vectors[:, column], bank.rows(name, 0, 200)[IDS[:, column]])
    assert bank.id_spaces() == ("plain",) * 5
    assert bank.group_of("d").method.name == "hash_rows"
    assert bank.sizing.method == "hash_rows+robe+quotient_remainder"


def test_a_mixed_bank_makes_one_call_per_group(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, calls = build(mixed(), seed=0), []
    for group in bank.groups:
        lookup = group.lookup
        monkeypatch.setattr(group, "lookup", lambda *a, lookup=lookup, **k: calls.append(1) or lookup(*a, **k))
    bank(IDS)
    assert len(calls) == 3


def test_bags_of_a_mixed_bank() -> None:
    bank = build(mixed(), seed=0).eval()
    bags = [[1, 2], [], [3], [4, 4, 9], [5], [], [1, 1], [8], [9, 199], [0]]  # two rows of the batch per column
    offsets = torch.tensor([0, *[len(bag) for bag in bags]]).cumsum(0)
    ids, weights = torch.tensor([i for bag in bags for i in bag]), draw(13)
    for pool in ("sum", "mean", "max"):
        vectors = bank(ids, offsets, None, pool)
        for number, bag in enumerate(bags):
            rows = bank.rows("abcde"[number // 2], 0, 200)[bag]
            expected = (
                torch.zeros(4) if not bag else {"sum": rows.sum(0), "mean": rows.mean(0), "max": rows.amax(0)}[pool]
            )
            torch.testing.assert_close(vectors[number % 2, number // 2], expected)
    weighted = bank(ids, offsets, weights)
    rows = bank.rows("b", 0, 200)[[4, 4, 9]]
    torch.testing.assert_close(weighted[1, 1], (rows * weights[3:6, None]).sum(0))
    by_value, columns = bank(ids, offsets, None, "none"), [b // 2 for b, bag in enumerate(bags) for _ in bag]
    for vector, x, column in zip(by_value, ids.tolist(), columns, strict=True):
        assert torch.equal(vector, bank.rows("abcde"[column], x, x + 1)[0])


def test_single_values_of_a_mixed_bank_learn() -> None:
    ids = torch.tensor([1, 2, 3, 4, 4, 9, 5, 1, 1, 8, 9])
    offsets, factors = torch.tensor([0, 2, 2, 3, 6, 7, 7, 9, 10, 11, 11]), draw(11, 4)
    written, paired = build(mixed(), seed=0), build(mixed(), seed=0)
    written.gradient = "dense"
    for bank in (written, paired):
        (bank(ids, offsets, None, "none") * factors).sum().backward()
    paired.collect()
    for index, group in enumerate(written.groups):
        pairs, units = paired.pending[index], sum(r.numel() for r in group.regions()) // group.unit
        found = torch.zeros(units, group.unit)
        found[pairs.addresses] = pairs.grads
        expected = torch.cat([group.tensor(name).grad.flatten() for name in group.access.regions])
        assert expected.any()
        torch.testing.assert_close(found.flatten(), expected)


def test_a_mixed_bank_learns_resumes_and_freezes() -> None:
    sizing = mixed()
    bank, other = build(sizing, seed=0), build(sizing, seed=0)
    for step in range(3):
        for each in (bank, other):
            (each(IDS) * draw(3, 5, 4, seed=step)).sum().backward()
            each.step()
        other = attach(sizing, {n: t.clone() for n, t in other.tensors().items()}, form="train")
    for name, tensor in bank.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name
    assert freeze(bank).held_bytes() == sizing.serve_bytes
    assert torch.equal(freeze(bank)(IDS), bank.eval()(IDS))


def test_a_mixed_frozen_bank_compiles_and_exports_whole() -> None:
    served = freeze(build(mixed(), seed=0))
    torch._dynamo.reset()
    compiled = torch.compile(served, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(IDS), served(IDS))
    exported = torch.export.export(served, (IDS,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    assert torch.equal(exported(IDS[:2]), served(IDS[:2]))


def test_columns_may_share_a_table() -> None:
    """A history and its candidate."""
    sizing = plain()
    shared = Sizing(
        groups=sizing.groups, order=("t0", "t1", "t0"), budget_bytes=sizing.budget_bytes, optimizer=SGD, notes=()
    )
    bank = build(shared, seed=0)
    vectors = bank(torch.tensor([[3, 4, 3], [5, 6, 9]]))
    assert torch.equal(vectors[0, 0], vectors[0, 2])
    before = bank.rows("t0", 0, 10)
    vectors.sum().backward()
    bank.step()
    moved = before - bank.rows("t0", 0, 10)
    assert moved.sum(dim=1).tolist() == [0, 0, 0, 6, 0, 3, 0, 0, 0, 3], "id 3 was read twice"


# ---------------------------------------------------------------- ids


def test_plain_ids_are_limited_by_their_table() -> None:
    bank = build(plain(), seed=0)
    with pytest.raises(IdError, match="Id 7 is not in table 't1' of 7 rows"):
        bank(torch.tensor([[9, 6], [0, 7]]))
    with pytest.raises(IdError, match="Id 10 is not in table 't0' of 10 rows"):
        bank(torch.tensor([0, 10, 1]), torch.tensor([0, 2, 3]))


@pytest.mark.parametrize("offsets", [[0, 5, 6], [0, 2, 1], [-1, 1, 2], [[0, 1], [1, 9]]])
def test_wrong_offsets_are_named_before_ids_are_judged(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match=r"offsets must not fall and lie in 0\.\.3"):
        build(plain(), seed=0)(torch.tensor([1, 2, 3]), torch.tensor(offsets))


def test_hashes_beside_plain_ids_have_no_limit() -> None:
    tables = [TableSpec(name="user", rows=50, dim=4), TableSpec(name="word", rows=None, dim=4, ids="hash63")]
    bank = build(size(tables, 4000, "robe"), seed=0)
    assert bank.id_spaces() == ("plain", "hash63")
    assert torch.isfinite(bank(torch.tensor([[49, 2**63 - 1], [0, 2**62]]))).all()
    with pytest.raises(IdError, match="'user'"):
        bank(torch.tensor([[50, 0]]))


def test_rows_of_unknown_tables_are_refused() -> None:
    with pytest.raises(OptionError, match=r"No table called 'x'.*t0, t1"):
        build(plain(), seed=0).rows("x", 0, 1)


# ---------------------------------------------------------------- pairs


def test_nothing_of_the_size_of_a_table_is_made() -> None:
    bank = build(plain(rows=(10, 7)), seed=0)
    bank(torch.tensor([[1, 2], [1, 3]])).sum().backward()
    assert all(p.grad is None for p in bank.parameters())
    bank.collect()
    assert bank.pending[0].addresses.tolist() == [1, 12, 13]
    assert bank.pending[0].grads.tolist() == [[2.0] * 3, [1.0] * 3, [1.0] * 3]


def test_accumulated_batches_are_one_step() -> None:
    one, two = build(plain(), seed=0), build(plain(), seed=0)
    ids, factors = torch.tensor([[1, 2], [3, 2], [1, 6], [9, 0]]), draw(4, 2, 3)
    (one(ids) * factors).sum().backward()
    one.step()
    for part in (slice(0, 1), slice(1, 4)):
        (two(ids[part]) * factors[part]).sum().backward()
        two.collect()
    two.step()
    for name, tensor in one.tensors().items():
        torch.testing.assert_close(tensor, two.tensors()[name])
    assert int(two.steps) == 1


def test_two_lookups_in_one_graph_are_one_step() -> None:
    bank = build(plain(), seed=0)
    before = bank.rows("t0", 0, 10)
    loss = bank(torch.tensor([[1, 1]])).sum() + 2 * bank(torch.tensor([[1, 3]])).sum()
    loss.backward()
    bank.step()
    torch.testing.assert_close((before - bank.rows("t0", 0, 10))[1], torch.full((3,), 3.0))
    assert int(bank.steps) == 1


def test_norm_and_scale_act_on_what_is_pending() -> None:
    bank = build(mixed(), seed=0)
    vectors = bank(IDS[:1])
    (vectors * 2).sum().backward()
    bank.collect()
    norm = bank.gradient_norm()
    assert norm > 0
    bank.scale(0.5)
    assert bank.gradient_norm() == pytest.approx(norm / 2)
    bank.discard()
    assert bank.gradient_norm() == 0


def test_the_norm_is_that_of_all_rows_together() -> None:
    bank = build(plain(), seed=0)
    (bank(torch.tensor([[1, 2]])) * torch.tensor([3.0, 4.0])[:, None]).sum().backward()
    bank.collect()
    assert bank.gradient_norm() == pytest.approx((3 * 9 + 3 * 16) ** 0.5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_gradient_anywhere_stops_every_group(bad: float) -> None:
    bank = build(mixed(), seed=0)
    before = {name: tensor.clone() for name, tensor in bank.tensors().items()}
    factors = torch.ones(3, 5, 4)
    factors[2, 4, 3] = bad
    (bank(IDS) * factors).sum().backward()
    with pytest.raises(NotFinite, match="no row was changed"):
        bank.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in bank.tensors().items())
    bank.step()
    assert int(bank.steps) == 1, "what was bad is forgotten"


def test_eval_and_no_grad_leave_nothing_to_learn_from() -> None:
    bank = build(plain(), seed=0)
    with torch.no_grad():
        bank(torch.tensor([[1, 2]]))
    assert not bank.eval()(torch.tensor([[1, 2]])).requires_grad
    bank.train()
    before = {name: t.clone() for name, t in bank.tensors().items() if name != "steps"}
    bank.step()
    assert all(torch.equal(bank.tensors()[name], t) for name, t in before.items())


def test_weights_that_train_need_an_ordinary_gradient() -> None:
    bank, weights = build(plain(rows=(10,)), seed=0), torch.ones(2, requires_grad=True)
    arguments = torch.tensor([1, 2]), torch.tensor([0, 2]), weights
    with pytest.raises(OptionError, match='"sparse" or "dense"'):
        bank(*arguments)
    bank.gradient = "dense"
    bank(*arguments).sum().backward()
    torch.testing.assert_close(weights.grad, bank.rows("t0", 1, 3).sum(dim=1))


def test_the_step_counter_is_part_of_the_state_and_resets() -> None:
    bank = build(plain(OptimizerSpec(name="adam")), seed=0)
    for _ in range(3):
        bank(torch.tensor([[1, 2]])).sum().backward()
        bank.step()
    again = attach(bank.sizing, bank.tensors(), form="train")
    assert int(again.steps) == 3
    again.reset_state()
    assert int(again.steps) == 0
    assert not any(t.any() for t in again.group_of("t0").state())
    assert bank.rows("t0", 0, 10).any(), "rows stay"


# ---------------------------------------------------------------- memory


def test_shared_memory_is_counted_once() -> None:
    sizing = plain()
    tensors = freeze(build(sizing, seed=0)).tensors()
    one, two = attach(sizing, tensors), attach(sizing, tensors)
    assert one.tensors()["0.rows"].data_ptr() == two.tensors()["0.rows"].data_ptr()
    assert one.held_bytes() == sizing.serve_bytes
    memory = torch.zeros(sum(p.spec.nbytes for p in layout(mixed())), dtype=torch.uint8)
    assert memory.numel() == mixed().serve_bytes


def test_a_bank_without_memory_counts_too() -> None:
    sizing = mixed()
    bank = build(sizing, seed=0, device="meta")
    assert bank.held_bytes() == sizing.train_bytes
    assert isinstance(bank, Bank)


def test_the_norm_is_measured_once_and_anew_when_gradients_change(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    squared_norm = Pairs.squared_norm
    monkeypatch.setattr(Pairs, "squared_norm", lambda pairs: (measured.append(1), squared_norm(pairs))[1])
    bank = build(plain(), seed=0)
    bank(torch.tensor([[1, 2]])).sum().backward()
    bank.collect()
    norm = bank.gradient_norm()
    assert bank.gradient_norm() == norm
    assert len(measured) == 1
    bank.scale(3)
    assert bank.gradient_norm() == pytest.approx(3 * norm)
    bank.pending[0].grads.mul_(2)  # as an exchange of gradients may
    assert bank.gradient_norm() == pytest.approx(6 * norm)
    bank.pending[0] = Pairs(bank.pending[0].addresses, bank.pending[0].grads / 6)
    assert bank.gradient_norm() == pytest.approx(norm)
    bank.pending[0].grads[0, 0] = float("nan")
    with pytest.raises(NotFinite):
        bank.step()
    assert bank.gradient_norm() == 0
    assert len(measured) == 5
