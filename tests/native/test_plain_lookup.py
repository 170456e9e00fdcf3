"""The plain lookup gives the bits of the op, in a traced program too, and refuses what the op refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.native import Column, Kind, Pooling, program_row
from pocketrec.native.plain_lookup import check_rows, plain_lookup
from pocketrec.native.request import Request
from pocketrec.spec.errors import IdError, OptionError

GROUPS = (
    "rows",
    "sum",
    "product",
    "hashes",
    "digits",
    "blocks",
    "signatures",
    "keyed_codes",
    "packed_codes",
    "chains_2",
    "chains_3",
    "chains_4",
    "rings_3",
    "rings_4",
)
STORAGES = ("float32", "float16", "bfloat16", "int16", "int8", "int4")


def request(call: Any) -> Request:
    access = call.access
    return Request(
        call.regions, call.ids, call.offsets, call.weights, access.program, access.maps, access.storages, access.dim,
        access.parts, access.combining, call.pooling,
    )  # fmt: skip


def plain(call: Any) -> Tensor:
    return plain_lookup(request(call), call.access.program.tolist())


def outside_of_a_bag(call: Any) -> Any:
    """The same bags among more ids than they hold: some before the first, some behind the last."""
    stray = torch.tensor([-9, 4])
    call.ids, call.offsets = torch.cat([stray, call.ids, stray]), call.offsets + 2
    if call.weights is not None:
        call.weights = torch.cat([torch.ones(2), call.weights, torch.ones(2)])
    return call


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("group", GROUPS)
def test_it_gives_the_bits_of_the_op(group: str, storage: str, backend: str, make_call: Callable[..., Any]) -> None:
    for call in (
        make_call(group, storage=storage),
        make_call(group, storage=storage, pooling=Pooling.SUM),
        make_call(group, storage=storage, pooling=Pooling.SUM, weighted=True),
        outside_of_a_bag(make_call(group, storage=storage, pooling=Pooling.SUM, weighted=True)),
    ):
        assert torch.equal(plain(call), call.lookup())


@pytest.mark.parametrize("group", GROUPS)
def test_some_columns_of_a_larger_input(group: str, make_call: Callable[..., Any]) -> None:
    """Offsets [fields, batch + 1]: between two fields lie values of fields that are not asked for."""
    whole = make_call(group, pooling=Pooling.SUM, weighted=True)
    fields = len(whole.access.program)
    chosen = torch.arange(0, fields, 2)
    batch = (len(whole.offsets) - 1) // fields
    whole.offsets = whole.offsets[chosen[:, None] * batch + torch.arange(batch + 1)]
    whole.access = whole.access._replace(program=whole.access.program[chosen])
    assert torch.equal(plain(whole), whole.lookup())


def test_without_rows_and_without_values(make_call: Callable[..., Any]) -> None:
    call = make_call("rows", batch=0)
    assert plain(call).shape == (0, len(call.access.program), 7)
    call = make_call("rows", pooling=Pooling.SUM)
    call.ids, call.offsets = call.ids[:0], torch.zeros_like(call.offsets)
    assert not plain(call).any()


class Traced(nn.Module):
    """A lookup of rows as a program can be exported."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self.call, self.rows = call, call.access.program.tolist()
        self.regions = nn.ParameterList(nn.Parameter(r, requires_grad=False) for r in call.regions)

    def forward(self, ids: Tensor) -> Tensor:
        asked = request(self.call)._replace(ids=ids, regions=list(self.regions))
        return plain_lookup(asked, self.rows)


@pytest.mark.parametrize(
    ("group", "storage"),
    [("rows", "int8"), ("rows", "int4"), ("product", "float32"), ("blocks", "int8"), ("blocks", "int4")],
)
def test_it_can_be_traced(group: str, storage: str, make_call: Callable[..., Any]) -> None:
    call = make_call(group, storage=storage, batch=6)
    made = Traced(call)
    program = torch.export.export(made, (call.ids,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not [name for name in called if "pocketrec" in name]
    for batch in (0, 1, 2, 6):
        assert torch.equal(program.module()(call.ids[:batch]), call.lookup()[:batch])
    with pytest.raises(RuntimeError, match="an id is negative"):
        program.module()(-call.ids.abs() - 7)


def test_what_the_op_refuses_is_refused(make_call: Callable[..., Any]) -> None:
    call = make_call("rows")
    call.ids[1, 2] = -4
    with pytest.raises(IdError):
        call.lookup()
    with pytest.raises(RuntimeError, match="negative and not the padding id"):
        plain(call)
    call = make_call("rows")
    call.access.program[0, Column.START] = 1000
    with pytest.raises(IdError):
        call.lookup()
    with pytest.raises(RuntimeError, match="beyond the rows"):
        plain(call)
    call = make_call("blocks")
    call.access.program[1, Column.SIZE] = 10**6
    with pytest.raises(RuntimeError, match="beyond the shared array"):
        plain(call)
    call = make_call("rows", pooling=Pooling.SUM)
    call.offsets[3] = call.offsets[-1]
    with pytest.raises(RuntimeError, match="offsets fall"):
        plain(call)


def test_ids_beyond_a_limit_are_refused(make_call: Callable[..., Any]) -> None:
    call = make_call("rows")
    call.ids[:] = 3
    call.ids[2, 4] = 12  # field 2 reads column 4
    call.access.program[:, Column.LIMIT] = torch.tensor([4, 4, 13, 4, 2**63 - 1, 4, -1, -1, -1, -1, -1])
    assert torch.equal(plain(call), call.lookup())
    call.access.program[2, Column.LIMIT] = 12
    with pytest.raises(RuntimeError, match="an id lies beyond its table"):
        plain(call)
    with pytest.raises(IdError, match="beyond the ids of its field, which end before 12"):
        call.lookup()


def test_other_ways_of_pooling_are_refused(make_call: Callable[..., Any]) -> None:
    with pytest.raises(OptionError, match="not by MEAN"):
        plain(make_call("rows", pooling=Pooling.MEAN))


def test_programs_are_checked_before() -> None:
    row = program_row(kind=Kind.HASH, size=5)
    check_rows([row], None, dim=4, parts=1, combining=0)
    with pytest.raises(ValueError, match="hash needs size >= 1"):
        check_rows([program_row(kind=Kind.HASH, size=0)], None, dim=4, parts=1, combining=0)
    with pytest.raises(ValueError, match="blocks need combining CONCAT"):
        check_rows([program_row(kind=Kind.BLOCK, size=9, a=4)], None, dim=4, parts=1, combining=0)
