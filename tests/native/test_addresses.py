from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.native import Access, BlockFlag, Column, Combining, Kind, addresses, lookup, program_row
from pocketrec.spec.errors import IdError

GOLDEN_ROWS = {
    "hash": program_row(kind=Kind.HASH, start=1000, size=50_000, seed=-3, a=3),
    "quotient_remainder": program_row(
        kind=Kind.QUOTIENT_REMAINDER, start=10, size=37, a=500, n=1_000_003, p=7919, q=12_345
    ),
    "digits": program_row(kind=Kind.DIGITS, start=64, size=1009, n=2**40 + 7, p=12_345, q=99, u=2),
    "bits dealt out": program_row(kind=Kind.DIGITS, start=10, size=1, n=2**33 - 3, b=33, u=3),
    "block": program_row(kind=Kind.BLOCK, start=64, size=10_007, seed=11, a=8),
    "block aligned": program_row(kind=Kind.BLOCK, start=64, size=10_007, seed=11, a=8, b=BlockFlag.ALIGNED),
    "block without wrap": program_row(kind=Kind.BLOCK, start=64, size=10_007, seed=11, a=8, b=BlockFlag.NO_WRAP),
    "linear_block": program_row(
        kind=Kind.LINEAR_BLOCK, size=5000, seed=999_999_937, a=8, p=1_203_411_555, q=77_777_777, **{"global": 1000}
    ),
}
# Frozen, by an implementation in Python integers. The parts of one id stand side by side.
GOLDEN_ADDRESSES = {
    "hash": [
        1000, 1001, 1002, 50489, 31636, 50562, 26901, 17430, 42881, 23771, 27395, 43762, 6988, 21280, 33853, 44477,
        33814, 11706, 18861, 40480,
    ],
    "quotient_remainder": [
        343, 524, 557, 525, 771, 526, 985, 527, 2483, 534, 866, 512, 26562, 532, 26776, 533, 343, 524, 343, 524, 343,
        524, 343, 524, 343, 524, 343, 524, 343, 524, 343, 524, 343, 524, 343, 524, 343, 524, 343, 524,
    ],
    "digits": [
        163, 1073, 400, 1085, 637, 1097, 874, 1109, 515, 1195, 1067, 1165, 421, 1740, 658, 1752, 900, 1870,
        79, 1708, 316, 1720, 232, 1346, 645, 1419, 324, 1240, 163, 1073, 163, 1073, 163, 1073, 163, 1073,
        163, 1073, 163, 1073,
    ],
    "bits dealt out": [
        10, 2058, 4106, 11, 2058, 4106, 10, 2059, 4106, 11, 2059, 4106, 12, 2059, 4106, 17, 2065, 4109, 73,
        2089, 4137, 10, 2090, 4106, 87, 2155, 4154, 2057, 3081, 5129, 10, 3082, 4106, 2057, 4105, 5129, 11,
        2058, 5131, 10, 2058, 4106, 10, 2058, 4106, 10, 2058, 4106, 10, 2058, 4106, 10, 2058, 4106, 10,
        2058, 4106, 10, 2058, 4106,
    ],
    "block": [
        6310, 1165, 9191, 2111, 9722, 8180, 764, 8975, 555, 1573, 8335, 9998, 5516, 1842, 9715, 9436, 3396, 1597,
        1398, 1922, 4031, 778, 10045, 2236, 1451, 6100, 8449, 99, 4705, 488, 1088, 2909, 6000, 96, 8618, 9405, 4486,
        1578, 5485, 9801,
    ],
    "block aligned": [
        6304, 1160, 9184, 2104, 9712, 8168, 760, 8968, 552, 1568, 8328, 9984, 5512, 1840, 9704, 9424, 3392, 1592,
        1392, 1920, 4024, 776, 10032, 2232, 1448, 6096, 8440, 96, 4696, 488, 1080, 2904, 5992, 96, 8608, 9392, 4480,
        1576, 5480, 9792,
    ],
    "block without wrap": [
        6306, 1165, 9185, 2109, 9715, 8175, 763, 8969, 555, 1572, 8329, 9991, 5512, 1841, 9708, 9429, 3394, 1596,
        1398, 1920, 4028, 778, 10038, 2235, 1450, 6096, 8443, 98, 4702, 488, 1087, 2907, 5996, 96, 8612, 9398, 4483,
        1577, 5481, 9794,
    ],
    "linear_block": [
        1826, 3642, 3469, 292, 119, 1935, 3807, 630, 1471, 3287, 4353, 1176, 2440, 4256, 1135, 2951, 454, 2270, 4417,
        1240, 3112, 4928, 2755, 4571, 1724, 3540, 549, 2365, 4619, 1442, 4957, 1780, 2493, 4309, 3498, 321, 4832,
        1655, 3527, 350,
    ],
}  # fmt: skip
# Bit j of the first number is set where element j of a block of 70 is negative; the second holds elements 64 to 69.
GOLDEN_SIGNS = [
    (0x80211d012bda99b7, 0x33), (0xaa5c2e484398eaf5, 0x21), (0x627161e741e88bf9, 0x3c), (0x10a9f6aa1d97db8a, 0x1c),
    (0x238e784883d3009e, 0x7), (0x3a7c8bd630b946e4, 0x30), (0x6d263a43e025f14a, 0x1d), (0xff45938da382fe9c, 0xa),
    (0x2bcce2ae8d806d61, 0x15), (0x85e4ec4d5af852f8, 0x1f), (0x7ec58cd041bc619b, 0x1a), (0x3cc9b0fcb81c980c, 0x34),
    (0x867171aca6298bd3, 0x18), (0x316bf596e944d81f, 0x13), (0xc009bab015403416, 0x7), (0xec18a002cd792c54, 0x1e),
    (0xa5a8dc482be7822b, 0x2b), (0x67efa14231a7bb25, 0x28), (0xddfb6f5908a8fa82, 0x7), (0x1205266beec9ea53, 0x2c),
]  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN_ROWS)
def test_golden_addresses(backend: str, golden_ids: Tensor, name: str) -> None:
    parts = len(GOLDEN_ADDRESSES[name]) // golden_ids.shape[0]
    found = addresses(golden_ids[:, None], torch.tensor([GOLDEN_ROWS[name]]), parts=parts)
    assert found.flatten().tolist() == GOLDEN_ADDRESSES[name]


def test_golden_signs(backend: str, golden_ids: Tensor) -> None:
    row = program_row(kind=Kind.BLOCK, size=100, seed=11, a=70, b=BlockFlag.SIGN)
    access = Access(torch.tensor([row]), (0,), 70, 1, Combining.CONCAT)
    negative = (lookup([torch.ones(100)], golden_ids[:, None], access)[:, 0] < 0).tolist()
    expected = [
        [bool(low >> j & 1) for j in range(64)] + [bool(high >> j & 1) for j in range(6)] for low, high in GOLDEN_SIGNS
    ]
    assert negative == expected


@pytest.mark.parametrize(
    "group", ["rows", "sum", "digits", "remainders", "blocks", "signatures", "sets", "keyed_codes", "packed_codes"]
)
@pytest.mark.parametrize("jagged", [False, True])
def test_agrees_with_python_integers(
    backend: str, make_call: Callable[..., Any], oracle: Any, group: str, jagged: bool
) -> None:
    call = make_call(group, batch=40, pooling=1 if jagged else None)
    program, parts = call.access.program.tolist(), call.access.parts
    maps = [] if call.access.maps is None else call.access.maps.tolist()
    if jagged:
        bags = call.offsets.diff().tolist()
        fields = [f for bag, length in enumerate(bags) for f in [bag // 40] * length]
        values = list(zip(call.ids.tolist(), fields, strict=True))
    else:
        values = [(ids[row[0]], f) for ids in call.ids.tolist() for f, row in enumerate(program)]
    expected = [oracle.addresses(x, program[f], parts, maps) for x, f in values]
    assert call.addresses().tolist() == expected
    assert len(set(map(tuple, expected))) > 10


def test_null_addresses_and_folds(backend: str) -> None:
    rows = [
        program_row(kind=Kind.ROW, start=5, size=3, a=1),
        program_row(kind=Kind.ROW, start=5, size=3, a=-1),
        program_row(kind=Kind.ROW, start=5, size=0, a=2, padding=4),
        program_row(kind=Kind.MAPPED, start=5, size=3, a=1, b=1),
        program_row(kind=Kind.MAPPED, start=5, size=3, a=-1, b=1),
    ]
    found = addresses(torch.tensor([[2], [3], [4]]), torch.tensor(rows), maps=torch.tensor([9, 0, 40, -1]))
    assert found.view(3, 5).tolist() == [[7, 7, 7, -1, -1], [6, -1, 7, 45, -1], [6, -1, -1, 45, -1]]


@pytest.mark.parametrize("fields", [1, 3, 4, 26])
@pytest.mark.parametrize("padding", [-1, 3])
def test_rows_that_do_not_begin_with_id_0(backend: str, fields: int, padding: int) -> None:
    rows = [
        program_row(column=f, kind=Kind.ROW, start=10 * f, size=5, a=-1, b=1, padding=padding if f % 2 else -1)
        for f in range(fields)
    ]
    ids = torch.tensor([0, 1, 3, 4, 5, 2**63 - 1])
    found = addresses(ids[:, None].expand(-1, fields).contiguous(), torch.tensor(rows))
    for f, column in enumerate(found.view(-1, fields).T.tolist()):
        third = -1 if padding == 3 and f % 2 else 10 * f + 2
        assert column == [-1, 10 * f, third, 10 * f + 3, -1, -1]
    folded = [program_row(kind=Kind.ROW, start=7, size=5, a=4, b=2)]
    assert addresses(ids[:, None], torch.tensor(folded)).flatten().tolist() == [9, 9, 8, 9, 9, 9]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_maps_of_both_widths(backend: str, dtype: torch.dtype) -> None:
    program = torch.tensor([program_row(kind=Kind.MAPPED, start=10, size=3, a=0, b=1)])
    maps = torch.tensor([7, 2**31 - 1, -1, 4], dtype=dtype)
    found = addresses(torch.tensor([[0], [1], [2], [99]]), program, maps=maps)
    assert found.flatten().tolist() == [10 + 2**31 - 1, -1, 14, 10 + 2**31 - 1]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("parts", [1, 2])
def test_pages_of_any_map(backend: str, oracle: Any, dtype: torch.dtype, parts: int) -> None:
    """What a map says is a page, none, or one so far behind the regions that whoever reads it finds it there."""
    wild = [0, 3, -1, 2**31 - 1, -(2**31)] + [2**62, 2**63 - 1, -(2**63), 2**32] * (dtype is torch.int64)
    maps, ids = torch.tensor(wild * 3, dtype=dtype), [0, 1, 2, 5, 6, 7, 26, 99, 2**40, 2**63 - 1]
    for length in (2, 3, 7, 2**31 - 1):
        for first, fold in ((0, 0), (2, 3), (4, -1)):
            row = program_row(kind=Kind.PAGED, start=2**61 - 1, size=7, b=4, n=length, q=first, a=fold, padding=5)
            expected = [oracle.addresses(x, row, parts, maps.tolist()) for x in ids]
            found = addresses(torch.tensor(ids)[:, None], torch.tensor([row]), maps=maps, parts=parts)
            assert found.tolist() == expected
            near = [target * length for target in wild if 0 <= target <= 3]
            assert all(
                a == -1 or a >= 2**61 - 1 + 2**30 or (a - 2**61 + 1) // length * length in near for a, *_ in expected
            )


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("parts", [1, 3])
def test_tags_in_any_words(backend: str, oracle: Any, dtype: torch.dtype, parts: int) -> None:
    """Sketches and tags of a map that nobody made: nothing is read outside, and all find the same."""
    draw, ids = torch.Generator().manual_seed(parts), list(range(300))
    wild = [0, -1, 1, 2, 7, 40, 2**31 - 1, -(2**31)] + [2**62, 2**63 - 1, -(2**63), 2**32 + 3] * (dtype is torch.int64)
    seen = set()
    for slots, size in ((1, 1), (3, 4), (32, 2)):
        tags = [oracle.tag(oracle.mix(x, 5)) for x in ids]
        choose = torch.tensor(wild * 4 + tags[:60])
        maps = choose[torch.randint(len(choose), (200,), generator=draw)].to(dtype)
        rows = [
            program_row(kind=Kind.SKETCHED, start=7, size=size, a=slots, b=200 - 3 * slots * size, seed=5, padding=9),
            program_row(kind=Kind.TAGGED, start=2**61 - 1, size=size, n=80, b=119 - size, seed=5),
            program_row(kind=Kind.TAGGED, start=7, size=size, n=0, b=199 - size, seed=5),
        ]
        found = addresses(torch.tensor(ids)[:, None], torch.tensor(rows), maps=maps, parts=parts)
        expected = [oracle.addresses(x, row, parts, maps.tolist()) for x in ids for row in rows]
        assert found.tolist() == expected
        seen |= set(map(tuple, expected))
    assert len(seen) > 8


def test_a_bucket_has_at_most_32_tags(backend: str, oracle: Any) -> None:
    own = oracle.tag(oracle.mix(4, 0))
    row = torch.tensor([program_row(kind=Kind.TAGGED, size=1, n=40)])
    for place, expected in ((0, 0), (31, 31), (32, -1), (39, -1)):
        tags = [7] * 40
        tags[place] = own
        assert addresses(torch.tensor([[4]]), row, maps=torch.tensor([0, 40, *tags])).tolist() == [[expected]]


@pytest.mark.parametrize("kind", [Kind.SKETCHED, Kind.TAGGED])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 100])
def test_ids_that_are_found_by_tags_are_refused_by_name(backend: str, kind: Kind, count: int) -> None:
    row = torch.tensor([program_row(kind=kind, size=2, a=1, n=3, limit=1000, padding=2000)])
    ids, maps = torch.arange(count)[:, None], torch.zeros(6, dtype=torch.int32)
    assert addresses(ids, row, maps=maps).tolist() == [[-1]] * count, "a free slot is nobody's"
    for wrong in (-1, 1000, 2**63 - 1):
        ids[count - 1] = wrong
        with pytest.raises(IdError, match=rf"id {wrong} \(value {count - 1}, field 0\)"):
            addresses(ids, row, maps=maps)
    ids[count - 1] = 2000
    assert addresses(ids, row, maps=maps).tolist() == [[-1]] * count


def test_kinds_with_one_part_leave_the_second_null(backend: str) -> None:
    rows = [
        program_row(kind=Kind.QUOTIENT_REMAINDER, size=4, a=100, n=20),
        program_row(kind=Kind.ROW, start=50, size=20),
    ]
    assert addresses(torch.tensor([[13]]), torch.tensor(rows), parts=2).tolist() == [[3, 101], [63, -1]]


def test_two_dimensional_offsets_pick_features(backend: str) -> None:
    # Three features of batch 2 in key-major order; the program reads the third and the first.
    ids = torch.tensor([1, 2, 3, 40, 50, 6, 7])
    starts = torch.tensor([0, 1, 3, 4, 5, 5, 7])
    offsets = torch.stack((starts[4:7], starts[0:3]))
    rows = [program_row(kind=Kind.ROW, size=10), program_row(kind=Kind.ROW, start=100, size=10)]
    found = addresses(ids, torch.tensor(rows), offsets=offsets)
    assert found.flatten().tolist() == [101, 102, 103, -1, -1, 6, 7]


def test_program_that_is_not_contiguous(backend: str) -> None:
    program = torch.tensor([program_row(kind=Kind.ROW, size=10, start=3)] * 2).t().contiguous().t()
    ids = torch.arange(12).view(4, 3).t()[:, :2]
    assert addresses(ids, program).flatten().tolist() == [3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("jagged", [False, True])
def test_negative_ids_are_refused_by_name(backend: str, jagged: bool) -> None:
    program = torch.tensor([program_row(kind=Kind.ROW, size=9), program_row(kind=Kind.HASH, size=9, column=1)])
    ids = torch.tensor([[1, 2], [3, -7]])
    offsets = torch.tensor([0, 1, 2, 3, 4]) if jagged else None
    with pytest.raises(IdError, match=r"id -7 \(value 3, field 1\) is negative and not the padding id"):
        addresses(ids.flatten() if jagged else ids, program, offsets=offsets)


def _limited(kind: Kind, limit: int, **columns: int) -> list[int]:
    return program_row(kind=kind, start=1000, size=9, a=2, limit=limit, **columns)


@pytest.mark.parametrize("kind", [Kind.ROW, Kind.HASH, Kind.BLOCK])
@pytest.mark.parametrize("fields", [1, 3, 4, 7, 26])
@pytest.mark.parametrize("jagged", [False, True])
def test_ids_beyond_the_limit_are_refused_by_name(backend: str, kind: Kind, fields: int, jagged: bool) -> None:
    rows = torch.tensor([_limited(kind, 50 + f, column=f) for f in range(fields)])
    ids = torch.stack([torch.arange(11) + 39 + f for f in range(fields)], dim=1)  # the last row is at each limit - 1

    def found(ids: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        offsets = torch.arange(ids.numel() + 1) if jagged else None
        return addresses(ids.t().flatten() if jagged else ids, rows, offsets=offsets)

    free = rows.clone()
    free[:, Column.LIMIT] = -1
    assert torch.equal(found(ids, rows), found(ids, free))
    for field in range(fields):
        wrong = ids.clone()
        wrong[7, field] = 50 + field
        value = field * 11 + 7 if jagged else 7 * fields + field
        message = rf"id {50 + field} \(value {value}, field {field}\) is beyond .* which end before {50 + field}\."
        with pytest.raises(IdError, match=message):
            found(wrong, rows)
        rows[field, Column.PADDING] = 50 + field  # padding is never refused
        assert int(found(wrong, rows).flatten()[value]) == -1
        rows[field, Column.PADDING] = -1


@pytest.mark.parametrize("fields", [2, 26])
def test_many_rows_with_folds_and_padding(backend: str, oracle: Any, fields: int) -> None:
    draw = torch.Generator().manual_seed(fields)
    rows = [
        program_row(column=f + 1, kind=Kind.ROW, start=100 * f, size=f, a=(f % 3) - 1, padding=(-1, 3, -7)[f % 3])
        for f in range(fields)
    ]
    ids = torch.randint(0, fields + 4, (70, fields + 1), generator=draw)
    ids[5, 1 + torch.arange(fields)[2::3]] = -7
    ids[6] = 2**63 - 1
    expected = [
        [oracle.addresses(x, row, 1, [])[0] for x, row in zip(each[1:], rows, strict=True)] for each in ids.tolist()
    ]
    assert addresses(ids, torch.tensor(rows)).view(70, fields).tolist() == expected
    ids[69, fields] = -2
    with pytest.raises(IdError, match=rf"id -2 \(value {70 * fields - 1}, field {fields - 1}\) is negative"):
        addresses(ids, torch.tensor(rows))


# Numbers of ids around those where quotients and remainders are no longer found for several fields at once.
PAIR_IDS = (1, 2, 3, 4, 97, 65_536, 10_000_019, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32, 2**40 + 15)


@pytest.mark.parametrize("n", PAIR_IDS)
def test_quotients_and_remainders_at_their_edges(backend: str, oracle: Any, n: int) -> None:
    """Many fields at once: divisors and permutations of every size; plain rows, padding and refused ids among them."""
    sizes = (1, 2, 3, 17, 1128, 65_537, max(1, n // 2), max(1, n - 1), n, n + 1, 2**31 - 1, 2**31, 2**31 + 1, 2**61)
    most = min(2**61, (2**63 - 1 - 11) // max(1, n - 1))
    steps = (1, min(2, most), min(n, most), min(n + 1, most), min(int(n * 0.618) + 1, most), most)
    rows = [
        program_row(
            column=f, kind=Kind.QUOTIENT_REMAINDER, start=10**15 + f, size=size, a=2**40, n=n, p=steps[f % len(steps)],
            q=(0, 11, min(n - 1, 11))[f % 3], padding=(-1, 5, -9)[f % 3],
        )
        for f, size in enumerate(sizes)
    ]  # fmt: skip
    rows.append(program_row(column=len(rows), kind=Kind.ROW, start=7, size=n, a=n - 1, padding=4))
    near = {k * size + d for size in (*sizes, n) for k in (0, 1, 2, n // size) for d in (-1, 0, 1)}
    draw = torch.Generator().manual_seed(n)
    drawn = torch.randint(0, n, (300,), generator=draw).tolist()
    ids = torch.tensor([x for x in (*near, *drawn, 5, 2**63 - 1) if 0 <= x < 2**63])[:, None].repeat(1, len(rows))
    program = torch.tensor(rows)
    ids[::7, 2] = -9  # padding
    expected = [[oracle.addresses(x, row, 2, []) for x, row in zip(each, rows, strict=True)] for each in ids.tolist()]
    assert addresses(ids, program, parts=2).view(ids.shape[0], len(rows), 2).tolist() == expected
    ids[50, 3] = -2
    with pytest.raises(IdError, match=rf"id -2 \(value {50 * len(rows) + 3}, field 3\) is negative"):
        addresses(ids, program, parts=2)


def test_a_negative_padding_id_is_padding(backend: str) -> None:
    program = torch.tensor([program_row(kind=Kind.ROW, size=9, padding=-100)])
    assert addresses(torch.tensor([[-100], [4]]), program).tolist() == [[-1], [4]]


@pytest.mark.parametrize("offsets", [[0, 3, 2, 4], [-1, 0, 2, 4], [0, 1, 2, 9]])
def test_offsets_that_fall_or_leave_are_refused(backend: str, offsets: list[int]) -> None:
    program = torch.tensor([program_row(kind=Kind.ROW, size=9)])
    with pytest.raises(ValueError, match=r"offsets must not fall and lie in 0\.\.4"):
        addresses(torch.tensor([1, 2, 3, 4]), program, offsets=torch.tensor(offsets))


def test_columns_outside_the_ids_are_refused(backend: str) -> None:
    program = torch.tensor([program_row(kind=Kind.ROW, size=9, column=3)])
    with pytest.raises(ValueError, match="program field 0 reads column 3, ids have 2"):
        addresses(torch.zeros((4, 2), dtype=torch.int64), program)


def test_wrong_shapes_and_dtypes_are_refused(backend: str) -> None:
    program = torch.tensor([program_row(kind=Kind.ROW, size=9)] * 2)
    ids = torch.zeros((4, 2), dtype=torch.int64)
    with pytest.raises(TypeError, match=r"must be int64, got torch\.int32 \[4, 2\]"):
        addresses(ids.int(), program)
    with pytest.raises(ValueError, match=r"program must be \[fields, 17\]"):
        addresses(ids, program[:, :11])
    with pytest.raises(ValueError, match="at least one field"):
        addresses(ids, program[:0])
    with pytest.raises(ValueError, match="Bags need offsets"):
        addresses(ids.flatten(), program)
    with pytest.raises(ValueError, match=r"ids with offsets must be \[values\]"):
        addresses(ids, program, offsets=torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="offsets of 2 fields"):
        addresses(ids.flatten(), program, offsets=torch.tensor([0, 1, 2, 3]))
    with pytest.raises(ValueError, match="parts must be at least 1"):
        addresses(ids, program, parts=0)
    with pytest.raises(TypeError, match="maps must be int32 or int64"):
        addresses(ids, program, maps=torch.zeros(3))


@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(backend: str, make_call: Callable[..., Any], batch: int) -> None:
    for group in ("rows", "product", "blocks", "signatures", "sets", "keyed_codes", "packed_codes"):
        for pooling in (None, 1):
            call = make_call(group, batch=batch, pooling=pooling)
            values = call.ids.shape[0] * (call.access.program.shape[0] if pooling is None else 1)
            assert call.addresses().shape == (values, call.access.parts)
