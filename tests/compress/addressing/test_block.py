from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pocketrec.compress.addressing.block import Block
from pocketrec.native import bucket, mix

Found = Callable[..., list[list[int]]]

IDS = [0, 1, 2**31, 2**53 + 1, 2**63 - 1]


@pytest.mark.parametrize(
    ("options", "choices", "stride"),
    [({}, 103, 1), ({"wrap": False}, 96, 1), ({"aligned": True}, 12, 8), ({"sign": False}, 103, 1)],
)
def test_starts_are_the_hash_of_id_and_block(options: dict[str, bool], choices: int, stride: int, found: Found) -> None:
    table = Block(weights=103, block=8, seed=5, **options)
    hashes = mix(mix(torch.tensor(IDS)[:, None], 5), torch.arange(3))
    assert found(table, IDS, parts=3) == (bucket(hashes, choices) * stride).tolist()


def test_flags_are_those_of_the_ops() -> None:
    def flags(**options: bool) -> int:
        return Block(weights=64, block=8, seed=0, **options).program(column=0, padding=-1)[6]

    assert flags() == 1
    assert flags(sign=False) == 0
    assert flags(sign=False, aligned=True) == 2
    assert flags(sign=False, wrap=False) == 4
    assert flags(aligned=True, wrap=False) == 7
