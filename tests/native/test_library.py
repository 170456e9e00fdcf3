"""What torch asks of an op: a true schema, a fake kernel, autograd, and to be compiled and exported whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.native import Access, Kind, Pooling, addresses, compact, library, lookup, program_row, update
from pocketrec.spec.optimizer import OptimizerSpec

GROUPS = (
    "rows",
    "sum",
    "product",
    "hashes",
    "digits",
    "blocks",
    "signatures",
    "sets",
    "keyed_codes",
    "packed_codes",
    "chains_3",
    "rings_3",
)
OPS = torch.ops.pocketrec


def request(call: Any) -> tuple[Any, ...]:
    access = call.access
    return (
        call.regions, call.ids, call.offsets, call.weights, access.program, access.maps, access.storages, access.dim,
        access.parts, int(access.combining), int(call.pooling),
    )  # fmt: skip


def check_lookup_op(call: Any) -> None:
    learning = [*call.regions, *([] if call.weights is None else [call.weights])]
    torch.library.opcheck(OPS.lookup_frozen.default, (*request(call), False))
    for tensor in learning:
        tensor.requires_grad_()
    torch.library.opcheck(OPS.lookup.default, (*request(call), False))


@pytest.mark.parametrize("group", GROUPS)
def test_lookup_is_a_proper_op(backend: str, make_call: Callable[..., Any], group: str) -> None:
    check_lookup_op(make_call(group, batch=3))


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("pooling", list(Pooling))
def test_lookup_of_bags_is_a_proper_op(backend: str, make_call: Callable[..., Any], group: str, pooling: int) -> None:
    check_lookup_op(make_call(group, batch=3, pooling=pooling, weighted=pooling == Pooling.SUM))


@pytest.mark.parametrize("group", GROUPS)
def test_compact_and_gradients_are_proper_ops(backend: str, make_call: Callable[..., Any], group: str) -> None:
    call = make_call(group, batch=3, pooling=Pooling.SUM, weighted=True)
    grad = torch.ones_like(call.lookup())
    wanted = [number != 1 for number in range(len(call.regions))]
    torch.library.opcheck(OPS.compact.default, (grad, *request(call), None))
    torch.library.opcheck(OPS.region_gradients.default, (grad, *request(call), wanted))
    torch.library.opcheck(OPS.weight_gradients.default, (grad, *request(call)))


@pytest.mark.parametrize("group", ["rows", "sum", "product", "hashes", "digits"])
def test_compact_of_found_addresses_is_a_proper_op(backend: str, make_call: Callable[..., Any], group: str) -> None:
    call = make_call(group, batch=3, pooling=None)
    grad = torch.ones_like(call.lookup())
    found = addresses(call.ids, call.access.program, maps=call.access.maps, parts=call.access.parts)
    torch.library.opcheck(OPS.compact.default, (grad, *request(call), found))


def test_addresses_is_a_proper_op(backend: str, make_call: Callable[..., Any]) -> None:
    for group in GROUPS:
        for pooling in (None, 1):
            call = make_call(group, pooling=pooling)
            access = call.access
            arguments = (call.ids, call.offsets, access.program, access.maps, access.parts)
            torch.library.opcheck(OPS.addresses.default, arguments)


@pytest.mark.parametrize("name", ["sgd", "rowwise_adagrad", "adagrad", "adam"])
def test_update_is_a_proper_op(backend: str, name: str) -> None:
    regions = [torch.ones(4, 3), torch.ones(5, 3)]
    state = {
        "sgd": [], "rowwise_adagrad": [torch.ones(4), torch.ones(5)], "adagrad": [torch.ones(4, 3), torch.ones(5, 3)],
        "adam": [torch.ones(4, 3), torch.ones(5, 3), torch.ones(4, 3), torch.ones(5, 3)],
    }[name]  # fmt: skip
    arguments = (regions, state, torch.tensor([1, 7]), torch.ones(2, 3), name, 0.1, 1e-8, 0.9, 0.99, 0.01, 2, 7)
    torch.library.opcheck(OPS.update.default, arguments)


class Tables(nn.Module):
    """Two row-like fields over two regions."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(6, 4, generator=generator))
        self.second = nn.Parameter(torch.randn(9, 4, generator=generator))
        rows = [
            program_row(column=1, size=6),
            program_row(column=0, kind=Kind.HASH, start=6, size=9, seed=3),
        ]
        self.register_buffer("program", torch.tensor(rows))

    def forward(self, ids: Tensor, offsets: Tensor | None = None) -> Tensor:
        access = Access(self.program, (0, 0), 4)
        pooling = Pooling.NONE if offsets is None else Pooling.MEAN
        return lookup([self.first, self.second], ids, access, offsets=offsets, pooling=pooling).relu().sum(dim=1)


IDS = torch.tensor([[2**40, 3], [7, 0], [1, 5]])
BAG_IDS, OFFSETS = torch.tensor([1, 5, 0, 2**53 + 1, 4, 4]), torch.tensor([0, 2, 2, 3, 3, 5, 6])


def check_compiled(engine: str, dynamic: bool | None) -> None:
    tables, compiled = Tables(), torch.compile(Tables(), fullgraph=True, backend=engine, dynamic=dynamic)
    for arguments in ((IDS,), (BAG_IDS, OFFSETS), (IDS[:2],), (IDS.repeat(3, 1),)):
        expected, found = tables(*arguments), compiled(*arguments)
        torch.testing.assert_close(found, expected)
        expected.square().sum().backward()
        found.square().sum().backward()
        for ours, theirs in zip(compiled.parameters(), tables.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
        with torch.no_grad():
            torch.testing.assert_close(compiled(*arguments), expected)


@pytest.fixture(autouse=True)
def forget_compiled_graphs() -> None:
    torch._dynamo.reset()


@pytest.mark.parametrize(("engine", "dynamic"), [("eager", None), ("aot_eager", None), ("aot_eager", True)])
def test_compiles_as_one_graph(backend: str, engine: str, dynamic: bool | None) -> None:
    check_compiled(engine, dynamic)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch by torch, when inductor is first imported
def test_compiles_with_inductor() -> None:
    check_compiled("inductor", None)


def test_a_compiled_step_of_training(backend: str) -> None:
    tables = Tables()
    access = Access(tables.program, (0, 0), 4)
    spec = OptimizerSpec(name="adagrad", lr=0.1)

    def step(regions: list[Tensor], state: list[Tensor], ids: Tensor, grad: Tensor) -> Tensor:
        places, grads, _ = compact(grad, regions, ids, access)
        update(regions, state, places, grads * 2, spec, step=1)
        return places

    results = []
    for run in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        regions = [tables.first.detach().clone(), tables.second.detach().clone()]
        state = [torch.zeros_like(region) for region in regions]
        results.append([run(regions, state, IDS, torch.ones(3, 2, 4)), *regions, *state])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(results[0][1], tables.first)


@pytest.mark.parametrize("strict", [False, True])
def test_exports_with_a_free_batch(backend: str, strict: bool) -> None:
    tables = Tables()
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(tables, (IDS,), dynamic_shapes={"ids": {0: batch}}, strict=strict)
    targets = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert any("pocketrec.lookup" in target for target in targets)
    for ids in (IDS, IDS[:1], IDS.repeat(5, 1)):
        torch.testing.assert_close(exported.module()(ids), tables(ids))


def test_works_on_meta(make_call: Callable[..., Any]) -> None:
    for group in GROUPS:
        call = make_call(group)
        regions = [region.to("meta") for region in call.regions]
        access = call.access._replace(
            program=call.access.program.to("meta"),
            maps=None if call.access.maps is None else call.access.maps.to("meta"),
        )
        ids = call.ids.to("meta")
        found = lookup(regions, ids, access)
        assert found.shape == call.lookup().shape
        assert found.is_meta
        assert addresses(ids, access.program, parts=access.parts, maps=access.maps).shape == call.addresses().shape


def test_fake_kernels_refuse_what_the_real_ones_refuse() -> None:
    access = Access(torch.tensor([program_row(size=4)]).to("meta"), (0,), 3)
    ids = torch.zeros((2, 1), dtype=torch.int64, device="meta")
    with pytest.raises(ValueError, match=r"region 0 must be .*\[rows, 3\]"):
        lookup([torch.zeros(4, 5, device="meta")], ids, access)
    with pytest.raises(ValueError, match="Bags need offsets"):
        lookup([torch.zeros(4, 3, device="meta")], ids[:, 0], access)


def test_a_defined_op_is_not_differentiable_unless_it_says_so() -> None:
    def twice(x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    op = library.define("test_only_zeros", "(Tensor x) -> Tensor", twice, twice)
    assert not op(torch.ones(3)).requires_grad
    assert op(torch.ones(3, device="meta")).is_meta


@pytest.mark.gpu
def test_references_compute_on_a_gpu(make_call: Callable[..., Any]) -> None:
    for group in GROUPS:
        for pooling in (None, *Pooling):
            call = make_call(group, pooling=pooling)
            expected = call.lookup()
            access = call.access
            found = lookup(
                [region.cuda() for region in call.regions],
                call.ids.cuda(),
                access._replace(
                    program=access.program.cuda(), maps=None if access.maps is None else access.maps.cuda()
                ),
                offsets=None if call.offsets is None else call.offsets.cuda(),
                pooling=call.pooling,
            )
            torch.testing.assert_close(found.cpu(), expected)
