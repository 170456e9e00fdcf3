from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec import EmbeddingBag
from pocketrec.compress.method import METHODS, of
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import kept_in, zipf_stats
from pocketrec.testing.sets import Sets

ROWS, DIM = 50, 6
IDS = torch.tensor([3, 7, 7, 0, 49, 3, 11, 12, 3, 3])
OFFSETS = torch.tensor([0, 3, 3, 7, 9])  # the second bag is empty, the first has a duplicate
ENDED = torch.tensor([0, 3, 3, 7, 9, 10])
GRID = IDS.view(5, 2)
WEIGHTS = torch.linspace(-1.5, 2.0, 10)
DATA = {"value_sets": {"weight": Sets({v: [v // 2, v // 2 + 1, v % 7] for v in range(200) if v % 3})}}
METHOD_NAMES = METHODS.names()


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(**settings: Any) -> tuple[EmbeddingBag, nn.EmbeddingBag]:
    """Ours and torch's with the same weight."""
    theirs = nn.EmbeddingBag(ROWS, DIM, _weight=draw(ROWS, DIM), **settings)
    return EmbeddingBag(ROWS, DIM, _weight=draw(ROWS, DIM), **settings), theirs


CALLS: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "offsets": ({}, (IDS, OFFSETS)),
    "include_last_offset": ({"include_last_offset": True}, (IDS, ENDED)),
    "2-D": ({}, (GRID,)),
    "int32": ({}, (IDS.int(), OFFSETS.int())),
    "padding_idx": ({"padding_idx": 3}, (IDS, OFFSETS)),
    "negative padding_idx": ({"padding_idx": 3 - ROWS}, (GRID,)),
    "only empty bags": ({"include_last_offset": True}, (IDS[:0], torch.zeros(4, dtype=torch.int64))),
    "no bags": ({"include_last_offset": True}, (IDS[:0], torch.zeros(1, dtype=torch.int64))),
    "one empty row": ({}, (GRID[:0],)),
}


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("call", CALLS)
def test_full_equals_torch(mode: str, call: str) -> None:
    settings, arguments = CALLS[call]
    ours, theirs = pair(mode=mode, **settings)
    out, expected = ours(*arguments), theirs(*arguments)
    assert out.shape == expected.shape
    assert out.dtype == expected.dtype
    torch.testing.assert_close(out, expected)
    factors = draw(*expected.shape, seed=1)
    (out * factors).sum().backward()
    (expected * factors).sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize("call", ["offsets", "include_last_offset", "2-D", "padding_idx"])
def test_per_sample_weights_equal_torch(call: str) -> None:
    settings, arguments = CALLS[call]
    ours, theirs = pair(mode="sum", **settings)
    mine, his = (WEIGHTS.clone().view_as(arguments[0]).requires_grad_() for _ in range(2))
    out = ours(arguments[0], *arguments[1:], per_sample_weights=mine)
    expected = theirs(arguments[0], *arguments[1:], per_sample_weights=his)
    torch.testing.assert_close(out, expected)
    factors = draw(*expected.shape, seed=1)
    (out * factors).sum().backward()
    (expected * factors).sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(mine.grad, his.grad)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's Adagrad builds a sparse tensor carelessly
@pytest.mark.parametrize("optimizer", ["SparseAdam", "SGD", "Adagrad"])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_sparse_gradients_train_as_torch_does(optimizer: str, mode: str) -> None:
    ours, theirs = pair(mode=mode, sparse=True)
    for bag in (ours, theirs):
        stepper = getattr(torch.optim, optimizer)(list(bag.parameters()), lr=0.1)
        for seed in range(3):
            stepper.zero_grad()
            (bag(IDS, OFFSETS) * draw(5, DIM, seed=seed)).sum().backward()
            assert all(p.grad is not None and p.grad.is_sparse for p in bag.parameters())
            stepper.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_sparse_gradients_of_max_work_too() -> None:
    """torch refuses sparse gradients with mode "max"; the dense ones say what they are."""
    dense, _ = pair(mode="max")
    sparse, _ = pair(mode="max", sparse=False)
    sparse.bank.gradient = "sparse"
    for bag in (dense, sparse):
        bag(IDS, OFFSETS).square().sum().backward()
    assert sparse.weight.grad is not None
    torch.testing.assert_close(sparse.weight.grad.to_dense(), dense.weight.grad)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(("name", "theirs_is"), [("sgd", "SGD"), ("adagrad", "Adagrad"), ("adam", "SparseAdam")])
def test_fused_steps_train_as_torch_does(mode: str, name: str, theirs_is: str) -> None:
    fused = EmbeddingBag(
        ROWS, DIM, mode=mode, fused=True, _weight=draw(ROWS, DIM),  # type: ignore[arg-type]
        optimizer=OptimizerSpec(name=name, lr=0.1, eps=1e-10 if name == "adagrad" else 1e-8),  # type: ignore[arg-type]
    )  # fmt: skip
    theirs = nn.EmbeddingBag(ROWS, DIM, mode=mode, _weight=draw(ROWS, DIM))
    stepper = getattr(torch.optim, theirs_is)(list(theirs.parameters()), lr=0.1)
    for seed in range(3):
        stepper.zero_grad()
        for bag in (fused, theirs):
            (bag(IDS, OFFSETS) * draw(5, DIM, seed=seed)).sum().backward()
        if theirs_is == "SparseAdam":
            assert theirs.weight.grad is not None
            rows = IDS.unique()
            theirs.weight.grad = torch.sparse_coo_tensor(
                rows[None], theirs.weight.grad[rows], (ROWS, DIM), check_invariants=False
            )
        fused.step()
        stepper.step()
    assert fused.weight.grad is None, "no gradient of the table was ever made"
    torch.testing.assert_close(fused.weight, theirs.weight)


@pytest.mark.parametrize("fused", [True, False])
def test_results_may_be_changed_in_place_as_torchs(fused: bool) -> None:
    ours = EmbeddingBag(ROWS, DIM, fused=fused, _weight=draw(ROWS, DIM), optimizer=OptimizerSpec(name="sgd", lr=0.1))
    theirs = nn.EmbeddingBag(ROWS, DIM, _weight=draw(ROWS, DIM))
    for bag in (ours, theirs):
        out = bag(GRID)
        out.mul_(2)
        out[0] = 0
        out.square().sum().backward()
    torch.optim.SGD(theirs.parameters(), lr=0.1).step()
    ours.step() if fused else torch.optim.SGD(ours.parameters(), lr=0.1).step()
    torch.testing.assert_close(ours.weight, theirs.weight)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_training_bag_compiles_whole(mode: str) -> None:
    bag, _ = pair(mode=mode)
    torch._dynamo.reset()
    compiled = torch.compile(bag, backend="aot_eager", fullgraph=True)
    out = compiled(IDS, OFFSETS)
    assert torch.equal(out, bag(IDS, OFFSETS))
    (expected,) = torch.autograd.grad(bag(IDS, OFFSETS).square().sum(), bag.weight)
    out.square().sum().backward()
    torch.testing.assert_close(bag.weight.grad, expected)


def nested(bags: list[list[Any]], dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.nested.nested_tensor([torch.tensor(bag, dtype=dtype) for bag in bags], layout=torch.jagged)


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_nested_ids_are_bags(mode: str, ended: bool) -> None:
    ours, theirs = pair(mode=mode, include_last_offset=ended)
    ids = nested([[3, 7, 7], [], [0, 49, 3, 11], [12]])
    torch.testing.assert_close(ours(ids), theirs(ids))
    narrowed = torch.nested.narrow(GRID, 1, torch.tensor([0, 1, 0, 0, 1]), torch.tensor([2, 1, 1, 0, 1]), torch.jagged)
    expected = torch.tensor([3, 7, 0, 49, 3]), torch.tensor([0, 2, 3, 4, 4])
    end = torch.tensor([5]) if ended else torch.tensor([], dtype=torch.int64)
    torch.testing.assert_close(ours(narrowed), theirs(expected[0], torch.cat([expected[1], end])))


def test_nested_ids_take_nested_factors() -> None:
    ours, theirs = pair(mode="sum")
    ids, factors = nested([[3, 7], [], [0]]), nested([[0.5, 2.0], [], [-1.0]], torch.float32)
    torch.testing.assert_close(
        ours(ids, per_sample_weights=factors),
        theirs(ids.values(), ids.offsets()[:-1], per_sample_weights=factors.values()),
    )
    for wrong in (factors.values(), nested([[0.5], [2.0], [-1.0]], torch.float32)):
        with pytest.raises(OptionError, match="nested too"):
            ours(ids, per_sample_weights=wrong)
    with pytest.raises(OptionError, match="their own offsets"):
        ours(ids, torch.tensor([0]))


def test_a_schedule_sets_the_step_size() -> None:
    moved = []
    for lr in (0.1, 0.2):
        bag = EmbeddingBag(ROWS, DIM, fused=True, optimizer=OptimizerSpec(name="sgd", lr=9.0))
        before = bag.table()
        bag(GRID).sum().backward()
        bag.step(lr=lr)
        moved.append(bag.table() - before)
    torch.testing.assert_close(moved[1], 2 * moved[0])


# ---------------------------------------------------------------- drop-in


def test_torchs_arguments_come_first_in_torchs_order_and_names() -> None:
    torchs = list(inspect.signature(nn.EmbeddingBag.__init__).parameters.values())
    ours = list(inspect.signature(EmbeddingBag.__init__).parameters.values())[: len(torchs)]
    assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in torchs]
    assert [p.default for p in ours] == [p.default for p in torchs]
    forward = [list(inspect.signature(c.forward).parameters) for c in (EmbeddingBag, nn.EmbeddingBag)]
    assert forward[0] == forward[1]


def test_positional_arguments_mean_what_torch_means() -> None:
    arguments = (ROWS, DIM, None, 2.0, False, "sum", False, draw(ROWS, DIM), True, 3)
    ours, theirs = EmbeddingBag(*arguments), nn.EmbeddingBag(*arguments)
    torch.testing.assert_close(ours(IDS, ENDED), theirs(IDS, ENDED))


def test_full_starts_like_torch() -> None:
    """N(0, 1) and a row of zeros for the padding id, but from the seed and not from torch's generator."""
    before = torch.get_rng_state()
    bag = EmbeddingBag(2000, 64, padding_idx=5, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert not bag.weight[5].any()
    assert abs(float(bag.table().mean())) < 0.01
    assert abs(float(bag.table().std()) - 1) < 0.01
    assert bag.weight.abs().max() > 3.5, "normal, not uniform"
    assert torch.equal(bag.weight, EmbeddingBag(2000, 64, padding_idx=5, seed=3).weight)
    assert not torch.equal(bag.weight, EmbeddingBag(2000, 64, padding_idx=5, seed=4).weight)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_every_method_starts_at_unit_variance_unless_told(method: str) -> None:
    if method == "ada_embed":
        pytest.skip("ada_embed: an id is zeros until it has a row, and the row begins so")
    ids = "plain" if "plain" in of(method).traits.ids else "rank"
    bag = EmbeddingBag(3000, 16, method=method, budget="1x", ids=ids, data=DATA)  # type: ignore[arg-type]
    assert abs(float(bag.table().std()) - 1) < 0.1
    told = EmbeddingBag(3000, 16, method=method, budget="1x", ids=ids, data=DATA, init=0.01)  # type: ignore[arg-type]
    assert abs(float(told.table().std()) * math.sqrt(3) - 0.01) < 0.001


def test_it_trains_in_a_plain_loop_beside_other_layers() -> None:
    torch.manual_seed(0)
    bag = EmbeddingBag(ROWS, DIM, mode="mean", method="hash_rows", budget="3x", init=0.1)
    net = nn.Sequential(bag, nn.Linear(DIM, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    target = draw(5, seed=2)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (net(GRID)[:, 0] - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_state_dict_and_copies() -> None:
    ours = EmbeddingBag(ROWS, DIM, method="robe", budget="4x")
    other = EmbeddingBag(ROWS, DIM, method="robe", budget="4x", seed=1)
    assert not torch.equal(ours(GRID), other(GRID))
    loaded = EmbeddingBag(ROWS, DIM, method="robe", budget="4x", seed=2)
    loaded.load_state_dict(copy.deepcopy(ours).state_dict())
    assert torch.equal(loaded(GRID), ours(GRID)), "the seed of its hashes came too"


# ---------------------------------------------------------------- methods and bytes


@pytest.mark.parametrize("method", METHOD_NAMES)
@pytest.mark.parametrize("fused", [True, False])
def test_every_method_in_few_bytes(method: str, fused: bool) -> None:
    traits = of(method).traits
    if method == "ada_embed" and not fused:
        pytest.skip("ada_embed: who has a row is decided after each step of its own")
    # a network of 1,024 hashes does not fit a quarter of so small a table
    shape: dict[str, object] = {"ada_embed": {"every": 1}, "dhe": {"hashes": 64}}.get(method, {})
    bag = EmbeddingBag(
        1000, 16, mode="sum", method=method, budget="1x" if method == "full" else "4x",
        ids="plain" if "plain" in traits.ids else "rank", fused=fused, data=DATA, storage=kept_in(method, "float32"),
        **shape,
    )  # fmt: skip
    before = bag.table()
    for _ in range(2 if traits.adaptive else 1):  # after the first step ids have rows, which the second one moves
        (bag(IDS, OFFSETS) * draw(5, 16)).sum().backward()
        if fused:
            bag.step()
        left = [p for p in bag.parameters() if p.grad is not None]  # with a step of its own: networks of the method
        assert bool(left) == (not fused or bool(bag.bank.matrices()))
        if left:
            torch.optim.SGD(left, lr=0.1).step()
    assert not torch.equal(bag.table(), before)
    served = bag.frozen()
    assert served.bank.held_bytes() == served.serve_bytes == bag.serve_bytes <= 64_000
    if kept_in(method, "float32") == "float32":  # methods that prune serve the nearest float16
        torch.testing.assert_close(served(IDS, OFFSETS), bag(IDS, OFFSETS))


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_from_pretrained_as_the_traits_say(method: str) -> None:
    traits, weight = of(method).traits, draw(200, 8)
    ids = "plain" if "plain" in traits.ids else "rank"
    budget = of(method).least_bytes([TableSpec(name="weight", rows=200, dim=8)]) + 200 * 8 * 4
    if not traits.from_dense:
        with pytest.raises(OptionError, match="from_dense"):
            EmbeddingBag.from_pretrained(weight, method, budget, ids=ids)
        return
    bag = EmbeddingBag.from_pretrained(weight, method, budget, ids=ids, mode="sum")
    torch.testing.assert_close(bag.table(), weight, msg="with so many bytes nothing is lost")
    compressed = EmbeddingBag.from_pretrained(
        weight, method, "1x", ids=ids, storage=kept_in(method, "int8" if method == "full" else "float32")
    )
    lost = (compressed.table() - weight).square().mean() / weight.square().mean()
    assert lost < 0.5


def test_from_pretrained_in_a_method_with_options() -> None:
    """Low rank plus a little noise: a width of 2 and a matrix hold it."""
    weight = draw(300, 2) @ draw(2, 16, seed=1) + 0.001 * draw(300, 16, seed=2)
    bag = EmbeddingBag.from_pretrained(weight, of("narrow", {"widen": True}), 300 * 2 * 4 + 2 * 16 * 4)
    assert bag.serve_bytes == 300 * 2 * 4 + 2 * 16 * 4
    assert (bag.table() - weight).abs().max() < 0.01


def test_a_pretrained_copy_is_a_copy_and_may_be_frozen() -> None:
    weight = draw(ROWS, DIM)
    bag = EmbeddingBag.from_pretrained(weight, freeze=True, mode="sum")
    bag.weight.data.zero_()
    assert weight.any()
    assert not bag(GRID).requires_grad
    assert EmbeddingBag.from_pretrained(weight)(GRID).requires_grad


def test_min_count_takes_ranks_and_counts() -> None:
    counts = torch.tensor([0, *range(ROWS - 1, 0, -1)])
    bag = EmbeddingBag(ROWS, DIM, method="min_count", budget="5x", ids="rank", counts=counts)
    assert bag.sizing.groups[0].settings["min_count"] == 41
    assert torch.equal(bag.table()[20], bag.table()[0])
    with pytest.raises(OptionError, match="plain"):
        EmbeddingBag(ROWS, DIM, method="min_count", budget="5x")


def test_the_default_budget_is_the_dense_table() -> None:
    assert EmbeddingBag(ROWS, DIM).serve_bytes == ROWS * DIM * 4
    assert EmbeddingBag(ROWS, DIM, storage="int8").serve_bytes == ROWS * (DIM + 8)
    assert EmbeddingBag(ROWS, DIM, storage="int4").serve_bytes == ROWS * ((DIM + 1) // 2 + 4)
    with pytest.raises(BudgetTooSmall, match="full needs at least"):
        EmbeddingBag(ROWS, DIM, budget="2x")


def test_only_full_has_a_weight() -> None:
    bag = EmbeddingBag(ROWS, DIM, method="robe", budget="4x")
    with pytest.raises(OptionError, match=r"ask table\(\)"):
        bag.weight  # noqa: B018
    assert bag.table().shape == (ROWS, DIM)
    assert "robe" in repr(bag)
    assert "bytes" in repr(bag)


def test_a_bag_without_memory() -> None:
    bag = EmbeddingBag(10**9, 64, device="meta")
    assert bag.weight.device.type == "meta"
    assert bag.bank.held_bytes() == bag.sizing.train_bytes


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_norm": 1.0}, "max_norm"),
        ({"scale_grad_by_freq": True}, "scale_grad_by_freq"),
        ({"dtype": torch.float64}, "float32, got torch.float64"),
        ({"dtype": torch.float16}, "storage='int8'"),
        ({"device": "cuda"}, "cpu or meta"),
        ({"mode": "median"}, "sum, mean or max"),
        ({"padding_idx": ROWS}, "padding_idx 50"),
        ({"padding_idx": -ROWS - 1}, "padding_idx -51"),
        ({"sparse": True, "fused": True}, "sparse"),
        ({"no_such": 1}, "no_such"),
        ({"_weight": torch.zeros(3, 3)}, r"\[50, 6\]"),
        ({"_weight": torch.zeros(ROWS, DIM, dtype=torch.int64)}, "float"),
    ],
)
def test_what_cannot_be_honoured_is_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        EmbeddingBag(ROWS, DIM, **settings)


def test_calls_that_do_not_fit_are_refused() -> None:
    bag = EmbeddingBag(ROWS, DIM, mode="mean")
    with pytest.raises(OptionError, match="no offsets"):
        bag(GRID, OFFSETS)
    with pytest.raises(OptionError, match="one axis and offsets"):
        bag(IDS)
    with pytest.raises(OptionError, match="mode='sum'"):
        bag(IDS, OFFSETS, WEIGHTS)
    with pytest.raises(OptionError, match="begin with 0, where the first bag does; got 1"):
        bag(IDS, OFFSETS + 1)
    with pytest.raises(OptionError, match=r"\[10\] must have the shape of ids, \[5, 2\]"):
        EmbeddingBag(ROWS, DIM, mode="sum")(GRID, None, WEIGHTS)
    with pytest.raises(IndexError, match="50"):
        bag(GRID + 1)
    with pytest.raises(IndexError, match="negative"):
        bag(GRID - 1)
    with pytest.raises(OptionError, match="fused=True"):
        bag.step()
    with pytest.raises(OptionError, match=r"\[rows, dim\]"):
        EmbeddingBag.from_pretrained(torch.zeros(3))


def test_weights_that_train_need_gradients() -> None:
    bag = EmbeddingBag(ROWS, DIM, mode="sum", fused=True)
    with pytest.raises(OptionError, match="pairs"):
        bag(IDS, OFFSETS, WEIGHTS.clone().requires_grad_())


def test_zipf_is_assumed_without_counts() -> None:
    assumed = EmbeddingBag(ROWS, DIM, method="min_count", budget="5x", ids="rank").sizing
    table = TableSpec(name="weight", rows=ROWS, dim=DIM, ids="rank")
    assert assumed.groups[0].tables == of("min_count").size([table], "5x", stats=zipf_stats([table])).groups[0].tables
    assert "Zipf" in assumed.notes[0]
