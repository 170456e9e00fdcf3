from __future__ import annotations

import torch

from pocketrec.compress.addressing.block import Block
from pocketrec.compress.addressing.signature import Sets, Signature
from pocketrec.native import Column, Kind, addresses, bucket, mix

BLOCK = Block(weights=103, block=8, seed=5, sign=False, start=40, own=2, own_start=8, own_width=16)


def named(row: list[int]) -> dict[str, int]:
    """A row of a program by the names of its columns."""
    return {column.name.lower(): row[column] for column in Column}


def test_a_signature_keeps_what_its_block_says() -> None:
    row = Signature(block=BLOCK, ids=7, place=3, keys=4, bits=16, picks=2).program(column=6, padding=9)
    block = named(BLOCK.program(column=6, padding=9))
    assert named(row) == {**block, "kind": Kind.SIGNATURE, "global": 3, "r": 7, "s": 4, "t": 16, "u": 2}


def test_a_set_keeps_what_its_block_says() -> None:
    row = Sets(block=BLOCK, ids=7, place=3, power=2, seed=-5).program(column=6, padding=9)
    block = named(BLOCK.program(column=6, padding=9))
    assert named(row) == {**block, "kind": Kind.SETS, "global": 3, "r": 7, "s": 2, "t": -5}


def test_ids_of_their_own_come_first_then_those_with_a_signature_then_the_hashed() -> None:
    program = torch.tensor([Signature(block=BLOCK, ids=2, place=0, keys=3, bits=16).program(column=0, padding=-1)])
    words = torch.tensor([5 | 6 << 16 | 7 << 32, 0])
    found = addresses(torch.arange(6)[:, None], program, parts=3, maps=words)
    assert found[1:3].tolist() == [[8, 16, 24], [24, 32, 40]]
    drawn = 40 + bucket(mix(torch.tensor([5, 6, 7]), torch.arange(3)), 103)
    assert found[3].tolist() == drawn.tolist()
    ids = torch.tensor([0, 4, 5])
    hashed = 40 + bucket(mix(mix(ids[:, None], 5), torch.arange(3)), 103)
    assert found[[0, 4, 5]].tolist() == hashed.tolist()
