from __future__ import annotations

import torch

from pocketrec.compress import build, size
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.spec.table import TableSpec


def test_eight_bytes_that_are_served() -> None:
    assert SEED.nbytes == 8
    sizing = size([TableSpec(name="t", rows=100, dim=2)], "2x", "hash_rows")
    (spec,) = [s for s in sizing.groups[0].serve if s.name == "seed"]
    assert (spec.nbytes, spec.role) == (8, "fixed")


def test_what_was_written_is_read_to_the_last_bit() -> None:
    group = build(size([TableSpec(name="t", rows=100, dim=2)], "2x", "hash_rows"), seed=0).group_of("t")
    for seed in (0, 1, 2**53 + 1, 2**63 - 1):
        write_seed(group, seed)
        assert read_seed(group.tensors()) == seed


def test_without_memory_it_is_zero() -> None:
    assert read_seed({"seed": torch.zeros(1, dtype=torch.int64, device="meta")}) == 0
