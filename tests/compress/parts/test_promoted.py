from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.group import Group
from pocketrec.compress.parts.promoted import read_rest, write_rows
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec
from pocketrec.spec.table import TableSpec

DIM = 4
TABLES = [TableSpec(name=name, rows=300, dim=DIM, ids="plain") for name in ("a", "b", "c")]
IDS, OF = torch.tensor([5, 6, 7, 5, 299, 0]), torch.tensor([2, 0, 2, 1, 0, 2])


def made(cold: str, optimizer: OptimizerName = "rowwise_adagrad", storage: str = "float32") -> Bank:
    budget = {"full": 20_000, "narrow": 9_000}.get(cold, 5_000)
    bank = build(
        size(TABLES, budget, "cafe", cold=cold, storage=storage, hot=0.1, optimizer=OptimizerSpec(name=optimizer)),
        seed=0,
    )
    for group in bank.groups:
        for number, tensor in enumerate(group.state()):  # type: ignore[operator]
            tensor.uniform_(1, 2, generator=torch.Generator().manual_seed(number))
    return bank


@pytest.mark.parametrize("cold", ["hash_rows", "robe", "quotient_remainder", "narrow", "full", "offline"])
@pytest.mark.parametrize("storage", ["float32", "int8_trained", "alpt"])
def test_vectors_are_those_that_the_bank_gives(cold: str, storage: str) -> None:
    if cold == "offline":
        pytest.importorskip("pocketrec.compress.methods.offline_split")
        cold = "offline_split"
    bank = made(cold, storage=storage)
    with torch.no_grad():
        vectors, _ = read_rest(bank.group_of("a"), IDS, OF)
        wanted = bank(IDS[:, None].repeat(1, 3))[torch.arange(len(IDS)), OF]
    assert torch.equal(vectors, wanted)


@pytest.mark.parametrize("optimizer", ["rowwise_adagrad", "adagrad", "adam"])
def test_state_is_that_of_the_row_that_an_id_reads(optimizer: OptimizerName) -> None:
    bank = made("hash_rows", optimizer)
    group = bank.group_of("a")
    assert group.rest is not None
    _, states = read_rest(group, IDS, OF)
    rows = bank.addresses(IDS[:, None].repeat(1, 3))[1][torch.arange(len(IDS)), OF, 0]
    assert len(states) == {"rowwise_adagrad": 1, "adagrad": 1, "adam": 2}[optimizer]
    for state, held in zip(states, group.rest.state(), strict=True):
        assert torch.equal(state, held[rows])


@pytest.mark.parametrize("storage", ["float32", "alpt", "lsq"])
def test_kinds_of_state_are_told_by_name(storage: str) -> None:
    """A group of two tensors of rows has two of each kind; a row's state is one of each, in the order of writing."""
    sizing = size(
        TABLES, 9_000, "cafe", cold="hash_rows", storage=storage, hot=0.1, levels=2,
        optimizer=OptimizerSpec(name="adam"),
    )  # fmt: skip
    group = build(sizing, seed=0).group_of("a")
    assert isinstance(group.rest, Group)
    for spec in group.rest.sizing.state:
        marks = {"first": 1.0, "second": 2.0, "scale_first": 3.0, "scale_second": 4.0, "step": 5.0}
        group.rest.tensor(spec.name).fill_(marks[spec.name.rpartition(".")[2]])
    with torch.no_grad():
        _, states = read_rest(group, IDS, OF)
        write_rows(group, "hot", torch.arange(2), torch.zeros(2, DIM), [state[:2] for state in states])
    for spec in group.sizing.state:
        name, _, kind = spec.name.rpartition(".")
        wanted = marks[kind] if name == "hot" else 0.0
        assert (group.tensor(spec.name)[:2] == wanted).all(), spec.name


@pytest.mark.parametrize("cold", ["robe", "quotient_remainder", "narrow"])
def test_what_is_no_row_has_no_state(cold: str) -> None:
    _, states = read_rest(made(cold).group_of("a"), IDS, OF)
    assert all((state == 0).all() for state in states)


@pytest.mark.parametrize("storage", ["float32", "bfloat16_trained", "int8_trained"])
def test_rows_and_state_are_written(storage: str) -> None:
    bank = made("hash_rows", "adam", storage)
    group, rows = bank.group_of("a"), torch.tensor([2, 0], dtype=torch.int32)
    before = {name: tensor.clone() for name, tensor in group.tensors().items()}
    vectors = torch.tensor([[0.0, 1.0, 2.0, 3.0], [0.0, 0.25, 0.5, 0.75]])
    write_rows(group, "hot", rows, vectors, [torch.full((2, DIM), 5.0), torch.full((2, DIM), 6.0)])
    after = group.tensors()
    assert (after["hot.first"][[0, 2]] == 5).all()
    assert (after["hot.second"][[0, 2]] == 6).all()
    others = [i for i in range(len(after["hot"])) if i not in (0, 2)]
    assert all(torch.equal(after[name][others], before[name][others]) for name in ("hot", "hot.first", "hot.second"))
    write_rows(group, "hot", rows, vectors, [])
    assert (group.tensor("hot.first")[[0, 2]] == 0).all()
    if storage == "float32":
        assert torch.equal(after["hot"][[2, 0]], vectors)
