from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, join, size, stages
from pocketrec.compress.candidates import best, propose, scored
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name=n, rows=rows, dim=16) for n, rows in (("a", 50), ("b", 6))]


def searching(*others: str) -> Bank:
    parts = [size(TABLES, "80%", "optembed", generations=1, mutations=3, crossovers=0)]
    parts += [size([TableSpec(name=other, rows=20, dim=16)], "2x", other) for other in others]
    order = [*"ab", *others]
    sizing = join(parts, order, sum(p.serve_bytes for p in parts))
    return build(dict((stage.name, s) for stage, s in stages(sizing))["evolve"], seed=0).eval()


@pytest.mark.parametrize("others", [(), ("robe", "hash_rows")])
def test_a_search_is_asked_and_told_until_it_has_no_candidate_left(others: tuple[str, ...]) -> None:
    bank = searching(*others)
    ids = torch.zeros(1, 2 + len(others), dtype=torch.int64)
    assert best(bank) == 0.0
    told = [0.6, 0.9, 0.7, 0.8]
    seen = []
    for auc in told:
        assert propose(bank)
        first = bank(ids)
        assert propose(bank), "asked twice"
        assert torch.equal(bank(ids), first)
        seen.append(first)
        scored(bank, auc)
    assert not propose(bank)
    assert best(bank) == 0.9
    assert torch.equal(bank(ids), seen[1]), "what is left is the best one"
    assert any(not torch.equal(one, seen[1]) for one in seen)


def test_a_bank_without_a_search_has_no_candidate() -> None:
    bank = build(size(TABLES, "50%", "hash_rows"), seed=0)
    assert not propose(bank)
    scored(bank, 0.5)
    assert best(bank) == 0.0
    settled = build(size(TABLES, "50%", "optembed"), seed=0)
    assert not propose(settled)
    scored(settled, 0.5)
    assert best(settled) == 0.0
