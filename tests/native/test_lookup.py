from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pocketrec import native
from pocketrec.native import Access, BlockFlag, Combining, Kind, Pooling, Storage, lookup, program_row
from pocketrec.spec.errors import IdError

GROUPS = ("rows", "sum", "product", "hashes", "digits", "blocks", "signatures", "sets", "keyed_codes", "packed_codes")
CHAINS = ("chains_2", "chains_3", "chains_4", "rings_2", "rings_3", "rings_4")
STORAGES = ("float32", "float16", "bfloat16", "int16", "int8", "int4")


def row_access(rows: int, dim: int, **columns: int) -> Access:
    return Access(torch.tensor([program_row(size=rows, **columns)]), (Storage.FLOAT,), dim)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def same(a: Tensor, b: Tensor) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert torch.equal(a, b), (a - b).abs().max()


class TestAgainstEmbeddingBag:
    """Kind row is torch.nn.functional.embedding_bag."""

    ids = torch.tensor([3, 3, 8, 0, 9, 3, 1, 1, 1, 7, 5])
    offsets = torch.tensor([0, 3, 3, 4, 9, 11, 11])  # bags of 3, 0, 1, 5, 2 and 0 values

    @pytest.mark.parametrize("mode", ["sum", "mean", "max"])
    @pytest.mark.parametrize("padding", [None, 3, 1])
    def test_modes_and_padding(self, backend: str, mode: str, padding: int | None) -> None:
        weight = randn(10, 5)
        access = row_access(10, 5, padding=-1 if padding is None else padding)
        found = lookup([weight], self.ids, access, offsets=self.offsets, pooling=Pooling[mode.upper()])
        expected = functional.embedding_bag(
            self.ids, weight, self.offsets, mode=mode, include_last_offset=True, padding_idx=padding
        )
        torch.testing.assert_close(found, expected[:, None], rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("padding", [None, 3])
    def test_weights(self, backend: str, padding: int | None) -> None:
        weight, factors = randn(10, 5), randn(11, seed=1)
        access = row_access(10, 5, padding=-1 if padding is None else padding)
        found = lookup([weight], self.ids, access, offsets=self.offsets, weights=factors, pooling=Pooling.SUM)
        expected = functional.embedding_bag(
            self.ids, weight, self.offsets, mode="sum", include_last_offset=True, per_sample_weights=factors,
            padding_idx=padding,
        )  # fmt: skip
        torch.testing.assert_close(found, expected[:, None], rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("pooling", list(Pooling))
    def test_no_values_and_no_bags(self, backend: str, pooling: int) -> None:
        nothing = torch.empty(0, dtype=torch.int64)
        access = row_access(10, 5)
        found = lookup([randn(10, 5)], nothing, access, offsets=torch.tensor([0, 0, 0]), pooling=pooling)
        same(found, torch.zeros((0, 5) if pooling == Pooling.NONE else (2, 1, 5)))
        none = lookup([randn(10, 5)], nothing, access, offsets=torch.tensor([0]), pooling=pooling)
        assert none.shape == ((0, 5) if pooling == Pooling.NONE else (0, 1, 5))

    def test_ids_of_two_axes_are_an_embedding(self, backend: str) -> None:
        weight, ids = randn(10, 5), torch.tensor([[1, 9], [0, 0], [4, 2]])
        rows = [program_row(size=10, column=column) for column in (1, 0, 1)]
        found = lookup([weight], ids, Access(torch.tensor(rows), (0,), 5))
        same(found, functional.embedding(ids[:, [1, 0, 1]], weight))

    def test_max_of_nan_and_of_infinities(self, backend: str) -> None:
        weight = torch.tensor([[-math.inf, 1.0], [-math.inf, math.nan], [2.0, 3.0]])
        offsets = torch.tensor([0, 2, 5])
        found = lookup([weight], torch.tensor([0, 1, 0, 1, 2]), row_access(3, 2), offsets=offsets, pooling=Pooling.MAX)
        torch.testing.assert_close(found[:, 0], torch.tensor([[-math.inf, math.nan], [2.0, math.nan]]), equal_nan=True)

    def test_weights_of_padding_are_not_read(self, backend: str) -> None:
        factors = torch.tensor([1.0, math.nan, math.inf])
        found = lookup(
            [torch.ones(4, 2)], torch.tensor([1, 2, 2]), row_access(4, 2, padding=2), offsets=torch.tensor([0, 3]),
            weights=factors, pooling=Pooling.SUM,
        )  # fmt: skip
        same(found, torch.ones(1, 1, 2))


class TestInt8:
    @pytest.mark.parametrize("dim", [1, 4, 7, 64])
    def test_is_the_row_of_embedding_bag_byte(self, backend: str, dim: int) -> None:
        packed = torch.ops.quantized.embedding_bag_byte_prepack(randn(20, dim))
        ids, offsets = torch.tensor([3, 19, 0, 3, 3, 7]), torch.tensor([0, 2, 2, 5, 6])
        access = row_access(20, dim)._replace(storages=(Storage.INT8,))
        found = lookup([packed], ids, access, offsets=offsets, pooling=Pooling.SUM)
        expected = torch.ops.quantized.embedding_bag_byte_rowwise_offsets(
            packed, ids, offsets, include_last_offset=True
        )
        # FBGEMM fuses a multiplication with an addition; that is at most the last bit of each term.
        torch.testing.assert_close(found[:, 0], expected, rtol=3e-7, atol=1e-6)
        single = lookup([packed], ids[:, None], access)[:, 0]
        scale_bias = packed[:, dim:].clone().view(torch.float32)
        same(single, (packed[:, :dim] * scale_bias[:, :1] + scale_bias[:, 1:])[ids])
        torch.testing.assert_close(single, torch.ops.quantized.embedding_bag_byte_unpack(packed)[ids])

    def test_exact_for_scales_that_are_powers_of_two(self, backend: str) -> None:
        codes = torch.randint(0, 256, (9, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        tail = torch.tensor([0.25, -32.0]).view(torch.uint8).expand(9, 8)
        region = torch.cat((codes, tail), dim=1)
        ids, offsets = torch.tensor([3, 8, 0, 3]), torch.tensor([0, 2, 2, 4])
        access = row_access(9, 12)._replace(storages=(Storage.INT8,))
        found = lookup([region], ids, access, offsets=offsets, pooling=Pooling.SUM)
        same(
            found[:, 0],
            torch.ops.quantized.embedding_bag_byte_rowwise_offsets(region, ids, offsets, include_last_offset=True),
        )

    def test_a_shared_array_has_a_scale_per_64_weights(self, backend: str) -> None:
        codes = torch.arange(128, dtype=torch.uint8).view(2, 64)
        tail = torch.tensor([[0.5, 1.0], [2.0, -3.0]]).view(torch.uint8)
        row = program_row(kind=Kind.BLOCK, size=128, a=128, b=BlockFlag.NO_WRAP)
        access = Access(torch.tensor([row]), (Storage.INT8,), 128, 1, Combining.CONCAT)
        found = lookup([torch.cat((codes, tail), dim=1)], torch.tensor([[12345]]), access)
        weights = torch.arange(128)
        same(found.flatten(), torch.where(weights < 64, weights * 0.5 + 1, weights * 2.0 - 3))


class TestInt4:
    @pytest.mark.parametrize("dim", [2, 8, 64, 130])
    def test_is_the_row_of_embedding_bag_4bit(self, backend: str, dim: int) -> None:
        packed = torch.ops.quantized.embedding_bag_4bit_prepack(randn(20, dim))
        ids, offsets = torch.tensor([3, 19, 0, 3, 3, 7]), torch.tensor([0, 2, 2, 5, 6])
        access = row_access(20, dim)._replace(storages=(Storage.INT4,))
        single = lookup([packed], ids[:, None], access)[:, 0]
        same(single, torch.ops.quantized.embedding_bag_4bit_unpack(packed)[ids])
        found = lookup([packed], ids, access, offsets=offsets, pooling=Pooling.SUM)
        read = torch.ops.quantized.embedding_bag_4bit_rowwise_offsets
        expected = read(packed, ids, offsets, include_last_offset=True)
        torch.testing.assert_close(found[:, 0], expected, rtol=3e-7, atol=1e-6)
        weights = randn(6, seed=1)
        found = lookup([packed], ids, access, offsets=offsets, weights=weights, pooling=Pooling.SUM)
        expected = read(packed, ids, offsets, per_sample_weights=weights, include_last_offset=True)
        torch.testing.assert_close(found[:, 0], expected, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("dim", [1, 3, 4, 7])
    def test_every_pair_of_codes_under_scales_of_every_kind(self, backend: str, dim: int) -> None:
        """Largest and smallest scales and biases, zeros and subnormals, and widths that end in half a byte."""
        code_bytes = (dim + 1) // 2
        packed = torch.arange(256).to(torch.uint8)[:, None].expand(256, code_bytes)
        numbers = [65504.0, -65504.0, 2.0**-24, -(2.0**-24), 2.0**-14, 0.0, 0.1, -3.0]
        scale = torch.tensor(numbers).half().repeat(32)[:, None]
        bias = torch.tensor(numbers).half().repeat_interleave(8).repeat(4)[:, None]
        region = torch.cat((packed, torch.cat((scale, bias), dim=1).view(torch.uint8)), dim=1)
        access = row_access(256, dim)._replace(storages=(Storage.INT4,))
        found = lookup([region], torch.arange(256)[:, None], access)[:, 0]
        codes = torch.stack((packed % 16, packed // 16), dim=2).flatten(1)[:, :dim]
        same(found, codes * scale.float() + bias.float())

    def test_a_shared_array_has_a_scale_per_64_weights(self, backend: str) -> None:
        weights = torch.arange(128)
        codes = (weights % 16).to(torch.uint8).view(2, 64)
        tail = torch.tensor([[0.5, 1.0], [2.0, -3.0]]).half().view(torch.uint8)
        region = torch.cat((codes[:, ::2] + 16 * codes[:, 1::2], tail), dim=1)
        row = program_row(kind=Kind.BLOCK, size=128, a=128, b=BlockFlag.NO_WRAP)
        access = Access(torch.tensor([row]), (Storage.INT4,), 128, 1, Combining.CONCAT)
        found = lookup([region], torch.tensor([[12345]]), access).flatten()
        same(found, torch.where(weights < 64, weights % 16 * 0.5 + 1, weights % 16 * 2.0 - 3))
        beyond = access._replace(program=torch.tensor([program_row(kind=Kind.BLOCK, start=1, size=128, a=128, b=4)]))
        with pytest.raises(IdError, match="address 128 lies beyond the 128 rows"):
            lookup([region], torch.tensor([[12345]]), beyond)


@pytest.mark.parametrize(("code", "dtype"), [(Storage.INT8, torch.float32), (Storage.INT4, torch.float16)])
@pytest.mark.parametrize("pooling", [None, *Pooling])
def test_scales_that_are_not_numbers_spoil_their_own_rows(
    backend: str, code: Storage, dtype: torch.dtype, pooling: int | None
) -> None:
    """A damaged or hostile file: what comes out is no number, nothing else happens, and other rows are whole."""
    tails = torch.tensor([[math.nan, 0.0], [math.inf, 0.0], [1.0, -math.inf], [1.0, 2.0]]).to(dtype)
    packed = torch.full((4, 6 if code == Storage.INT8 else 3), 0x01, dtype=torch.uint8)
    region = torch.cat((packed, tails.view(torch.uint8)), dim=1)
    access = row_access(4, 6)._replace(storages=(code,))
    ids = torch.arange(4)
    if pooling is None:
        found = lookup([region], ids[:, None], access)[:, 0]
    else:
        offsets = torch.arange(5)
        found = lookup([region], ids, access, offsets=offsets, pooling=pooling).reshape(4, 6)
    assert found[0].isnan().all()
    assert not found[1].isfinite().any()
    assert torch.equal(found[2], torch.full((6,), -math.inf))
    expected = torch.full((6,), 3.0)
    if code == Storage.INT4:
        expected[1::2] = 2.0
    same(found[3], expected)


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_every_half_is_read_exactly(backend: str, storage: str) -> None:
    every = torch.arange(-(2**15), 2**15).to(torch.int16).view(getattr(torch, storage)).view(-1, 16)
    found = lookup([every], torch.arange(4096)[:, None], row_access(4096, 16))
    torch.testing.assert_close(found[:, 0], every.float(), rtol=0, atol=0, equal_nan=True)
    zeros = every == 0
    assert torch.equal(found[:, 0][zeros].signbit(), every[zeros].signbit())


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("group", [*GROUPS, *CHAINS])
@pytest.mark.parametrize("pooling", [None, *Pooling])
def test_backends_agree_to_the_last_bit(
    compiled: None, make_call: Callable[..., Any], group: str, storage: str, pooling: int | None
) -> None:
    for dim, batch in ((1, 3), (3, 1), (7, 5), (16, 6), (130, 2)):
        for weighted in (False, True) if pooling == Pooling.SUM else (False,):
            call = make_call(group, storage=storage, dim=dim, batch=batch, pooling=pooling, weighted=weighted, seed=dim)
            with native.use_backend("compiled"):
                found = call.lookup()
            with native.use_backend("reference"):
                same(found, call.lookup())


@pytest.mark.parametrize("group", GROUPS)
def test_vectors_are_what_their_addresses_say(
    backend: str, make_call: Callable[..., Any], oracle: Any, group: str
) -> None:
    call = make_call(group, batch=6, dim=8)
    program, parts, dim = call.access.program.tolist(), call.access.parts, call.access.dim
    maps = [] if call.access.maps is None else call.access.maps.tolist()
    memory = torch.cat(call.regions)
    zero = memory.new_zeros(dim)
    found = call.lookup()
    for ids, vectors in zip(call.ids.tolist(), found, strict=True):
        for row, vector in zip(program, vectors, strict=True):
            x = ids[row[0]]
            places = oracle.addresses(x, row, parts, maps)
            if group in ("blocks", "signatures", "sets", "keyed_codes", "packed_codes"):
                weights, signs = oracle.weights(x, row, dim, maps)
                expected = zero if places[0] < 0 else memory[weights] * torch.tensor(signs)
            else:
                read = [memory[place] if place >= 0 else zero for place in places]
                expected = read[0]
                for place, other in zip(places[1:], read[1:], strict=True):
                    if place >= 0:
                        expected = expected * other if group == "product" else expected + other
            same(vector, expected)


@pytest.mark.parametrize(("storage", "code", "error"), [("int16", 9, 0.003), ("int8", 8, 0.03), ("int4", 4, 0.2)])
def test_a_program_mixes_storages_and_regions(
    backend: str, make_call: Callable[..., Any], storage: str, code: int, error: float
) -> None:
    plain = make_call("rows", dim=6)
    as_bytes = make_call("rows", dim=6, storage=storage)
    half = [plain.regions[0].half(), plain.regions[1], plain.regions[2].bfloat16(), as_bytes.regions[3]]
    mixed = lookup(half, plain.ids, plain.access._replace(storages=(0, 0, 0, code)))
    torch.testing.assert_close(mixed, plain.lookup(), rtol=0.01, atol=error)
    assert not torch.equal(mixed, plain.lookup())


def test_bags_of_picked_features(backend: str) -> None:
    weight, ids = randn(10, 4), torch.tensor([1, 2, 3, 4, 5, 6, 7])
    starts = torch.tensor([0, 1, 3, 4, 5, 5, 7])  # three features, batch 2, key-major
    all_features = Access(torch.tensor([program_row(size=10)] * 3), (0,), 4)
    picked = Access(torch.tensor([program_row(size=10)] * 4), (0,), 4)
    bags = starts.unfold(0, 3, 2)
    for pooling in (Pooling.SUM, Pooling.MEAN, Pooling.MAX):
        whole = lookup([weight], ids, all_features, offsets=starts, pooling=pooling)
        some = lookup([weight], ids, picked, offsets=bags[[2, 0, 2, 1]], pooling=pooling)
        same(some, whole[:, [2, 0, 2, 1]])
    unpooled = lookup([weight], ids, picked._replace(program=picked.program[:2]), offsets=bags[[2, 0]])
    same(unpooled, torch.cat((weight[1:4], torch.zeros(2, 4), weight[6:8])))


def test_null_folded_and_padded_values_read_zeros_or_the_fold(backend: str) -> None:
    weight, ids = randn(5, 3), torch.tensor([[4], [5], [2**62], [1]])
    zero = torch.zeros(3)
    same(lookup([weight], ids, row_access(5, 3, a=-1, padding=1))[:, 0], torch.stack((weight[4], zero, zero, zero)))
    same(lookup([weight], ids, row_access(5, 3, a=2))[:, 0], weight[[4, 2, 2, 1]])


def test_mean_counts_null_values_but_not_padding(backend: str) -> None:
    access = row_access(5, 3, a=-1, padding=1)
    offsets = torch.tensor([0, 4, 6])
    found = lookup([torch.ones(5, 3)], torch.tensor([0, 1, 99, 1, 1, 1]), access, offsets=offsets, pooling=Pooling.MEAN)
    same(found[:, 0], torch.tensor([[0.5] * 3, [0.0] * 3]))


def test_a_read_only_region_will_do(backend: str, tmp_path: Any) -> None:
    path = tmp_path / "rows.bin"
    randn(10, 4).numpy().tofile(path)
    mapped = np.memmap(path, dtype=np.float32, mode="r", shape=(10, 4))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # said once per process
        region = torch.from_numpy(mapped)
    same(lookup([region], torch.tensor([[7]]), row_access(10, 4))[0], randn(10, 4)[7:8])


def test_a_region_of_bytes_need_not_be_aligned(backend: str) -> None:
    eight = torch.ops.quantized.embedding_bag_byte_prepack(randn(6, 5))
    four = torch.ops.quantized.embedding_bag_4bit_prepack(randn(6, 6))
    ids = torch.arange(6)[:, None]
    for packed, dim, code in ((eight, 5, Storage.INT8), (four, 6, Storage.INT4)):
        shifted = torch.cat((torch.zeros(3, dtype=torch.uint8), packed.flatten()))[3:].view(packed.shape)
        access = row_access(6, dim)._replace(storages=(code,))
        same(lookup([shifted], ids, access), lookup([packed], ids, access))


class TestRefusals:
    ids = torch.zeros((2, 1), dtype=torch.int64)
    bag = torch.zeros(2, dtype=torch.int64)
    offsets = torch.tensor([0, 2])

    def test_addresses_beyond_the_regions(self, backend: str) -> None:
        for group, region in ((row_access(9, 4), torch.zeros(5, 4)), (row_access(9, 4), torch.zeros(0, 4))):
            with pytest.raises(IdError, match=rf"address 7 lies beyond the {region.shape[0]} rows"):
                lookup([region], torch.tensor([[7]]), group)
        row = program_row(kind=Kind.BLOCK, start=3, size=8, a=8, b=BlockFlag.NO_WRAP)
        blocks = Access(torch.tensor([row]), (0,), 8, 1, Combining.CONCAT)
        with pytest.raises(IdError, match="lies beyond the 10 rows"):
            lookup([torch.zeros(10)], self.ids, blocks)
        far = Access(
            torch.tensor([program_row(kind=Kind.MAPPED, start=5, size=1)]), (0,), 4, 1, 0, torch.tensor([2**63 - 1])
        )
        with pytest.raises(IdError, match="lies beyond the 5 rows"):
            lookup([torch.zeros(5, 4)], self.ids, far)

    def test_negative_ids(self, backend: str) -> None:
        for pooling, offsets in ((Pooling.NONE, None), *((p, self.offsets) for p in Pooling)):
            ids = torch.tensor([1, -3])
            with pytest.raises(IdError, match=r"id -3 \(value 1, field 0\)"):
                lookup(
                    [torch.zeros(5, 4)],
                    ids if offsets is not None else ids[:, None],
                    row_access(5, 4),
                    offsets=offsets,
                    pooling=pooling,
                )

    def test_regions(self, backend: str) -> None:
        access = row_access(5, 4)
        with pytest.raises(
            ValueError, match=r"region 0 must be .*\[rows, 4\] and contiguous, got torch\.float32 \[5, 3\]"
        ):
            lookup([torch.zeros(5, 3)], self.ids, access)
        with pytest.raises(ValueError, match=r"with strides \[1, 5\]"):
            lookup([torch.zeros(4, 5).t()], self.ids, access)
        with pytest.raises(TypeError, match=r"region 1 must be float32.* got torch\.float64"):
            lookup([torch.zeros(5, 4), torch.zeros(5, 4).double()], self.ids, access._replace(storages=(0, 0)))
        with pytest.raises(ValueError, match=r"region 0 must be uint8 \[rows, 12\]"):
            lookup([torch.zeros(5, 4, dtype=torch.uint8)], self.ids, access._replace(storages=(8,)))
        with pytest.raises(ValueError, match="2 regions and 1 storages"):
            lookup([torch.zeros(5, 4)] * 2, self.ids, access)
        with pytest.raises(ValueError, match=r"region 0 must be uint8 \[rows, 6\]"):
            lookup([torch.zeros(5, 4, dtype=torch.uint8)], self.ids, access._replace(storages=(4,)))
        with pytest.raises(NotImplementedError, match="storage code 5 is unknown"):
            lookup([torch.zeros(5, 6, dtype=torch.uint8)], self.ids, access._replace(storages=(5,)))
        with pytest.raises(ValueError, match="blocks, and slices of cores, are read from one region, got 2"):
            lookup([torch.zeros(5)] * 2, self.ids, access._replace(storages=(0, 0), combining=Combining.CONCAT))

    def test_codes(self, backend: str) -> None:
        region, access = [torch.zeros(5, 4)], row_access(5, 4)
        with pytest.raises(ValueError, match="COPY cannot combine 2 parts"):
            lookup(region, self.ids, access._replace(parts=2))
        with pytest.raises(ValueError, match="PRODUCT cannot combine 3 parts"):
            lookup(region, self.ids, access._replace(parts=3, combining=Combining.PRODUCT))
        with pytest.raises(ValueError, match="a code from 0 to 4 and pooling one from 0 to 3, got 0 and 4"):
            lookup(region, self.bag, access, offsets=self.offsets, pooling=4)
        with pytest.raises(ValueError, match="pooling SUM needs offsets"):
            lookup(region, self.ids, access, pooling=Pooling.SUM)
        with pytest.raises(ValueError, match="dim must be at least 1"):
            lookup(region, self.ids, access._replace(dim=0))

    def test_weights(self, backend: str) -> None:
        region, access = [torch.zeros(5, 4)], row_access(5, 4)
        with pytest.raises(ValueError, match="need offsets and pooling SUM"):
            lookup(region, self.bag, access, offsets=self.offsets, weights=torch.ones(2), pooling=Pooling.MEAN)
        with pytest.raises(ValueError, match="2 ids need as many weights, got 3"):
            lookup(region, self.bag, access, offsets=self.offsets, weights=torch.ones(3), pooling=Pooling.SUM)
        with pytest.raises(TypeError, match=r"weights must be float32 \[values\], got torch\.float64"):
            lookup(region, self.bag, access, offsets=self.offsets, weights=torch.ones(2).double(), pooling=Pooling.SUM)


@pytest.mark.parametrize("sign", [0, BlockFlag.SIGN])
@pytest.mark.parametrize(
    ("dim", "length", "batch"), [(16, 16, 100), (16, 4, 40), (24, 8, 1), (64, 64, 2000), (7, 4, 250)]
)
def test_blocks_of_fields_that_share_an_array(compiled: None, sign: int, dim: int, length: int, batch: int) -> None:
    """They are read side by side; some wrap over the end, some ids are padding."""
    columns = {"kind": Kind.BLOCK, "size": 500, "a": length, "b": sign}
    rows = [program_row(column=f, seed=f, padding=3 if f % 4 == 1 else -1, **columns) for f in range(9)]
    parts = -(-dim // length)
    access = Access(torch.tensor(rows), (0,), dim, parts, Combining.CONCAT)
    draw = torch.Generator().manual_seed(dim)
    region, ids = torch.randn(500, generator=draw), torch.randint(0, 9000, (batch, 11), generator=draw)
    ids[::3, 1] = 3
    found = lookup([region], ids, access)
    with native.use_backend("reference"):
        assert torch.equal(found, lookup([region], ids, access))
    assert not found[0, 1].any()
    ids[-1, 5] = -1
    with pytest.raises(IdError, match="negative"):
        lookup([region], ids, access)


def test_blocks_behind_the_end_of_a_vector_are_left_out(backend: str) -> None:
    """A made-up program may ask for more of them than a vector has room for."""
    array, ids = randn(50), torch.arange(20)[:, None]
    program = torch.tensor([program_row(kind=Kind.BLOCK, size=50, a=10, seed=3)])
    (one, several) = (Access(program, (0,), 5, parts, Combining.CONCAT) for parts in (1, 3))
    same(lookup([array], ids, several), lookup([array], ids, one))
