from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.methods.coded import METHOD
from pocketrec.spec.errors import OptionError
from pocketrec.spec.function_sizes import function_words
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract

# Ids per count: t0 has many rare ones, t1 few.
COUNTS = {
    "t0": [4000, 2000, *[1000] * 30, *[40] * 200, *[5] * 2000, *[1] * 3000],
    "t1": [3000, *[50] * 12, *[4] * 8, 1],
}
TABLES = [TableSpec(name=n, rows=len(c) + 1, dim=8, ids="rank") for n, c in COUNTS.items()]
# In float32: 2 vectors of ids without an entry, 33 own ones, 16 + 14 codewords; functions of 2,253 ids that have an
# entry, of 224 that have a code per block and of 33 with weights of their own.
FUNCTIONS = function_words(2253, 10) + function_words(224, 8) + function_words(33, 6)
BUDGET = 4 * (8 * (2 + 33 + 30) + FUNCTIONS)
# Ids with codes of each kind, of both tables.
TIERS = (((33, 237), (2, 22)), ((237, 2233), (22, 22)))
STATS = {n: TableStats.of_counts(n, c) for n, c in COUNTS.items()}


class TestCoded(MethodContract):
    method = METHOD
    # 16 bits of a hash are checked, so that no id of these tests reads another one's weights
    variants = (
        {}, {"blocks": 3, "bits": 4, "fade": 1.0}, {"coarse_bits": 2, "min_count": 1},
        {"vocabulary": False, "key_bits": 16, "blocks": 1},
    )  # fmt: skip

    def test_freezing_stays_within_a_step(self, variant: Mapping[str, Any], storage: str) -> None:
        """Of the ids with weights of their own; codes are another approximation, which is tested below."""
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        bank = self.bank(sizing, steps=2).eval()
        served = freeze(bank)
        ids = torch.stack([torch.arange(3) % (1 + int(t.settings["own"])) for t in sizing.groups[0].tables], dim=1)
        exact, near = bank(ids), served(ids)
        steps = {
            "float32": 0.0, "float16": 1e-3, "bfloat16": 1e-2, "int16": 1e-4, "int8": 1e-2, "alpt": 1e-2, "int4": 0.14,
        }  # fmt: skip
        widest = float(bank.group_of(sizing.order[0]).tensor("rows").detach().abs().max())
        assert float((near - exact).detach().abs().max()) <= steps[storage.removesuffix("_trained")] * widest


def bank_of(budget: int, **options: Any) -> Bank:
    sizing = size(
        TABLES,
        budget,
        METHOD(**{"storage": "float32", "bits": 4, "vocabulary": False, "key_bits": 6, **options}),
        stats=STATS,
    )
    return build(sizing, seed=3, data={"stats": STATS, "tokens": tokens_of})


def tokens_of(table: str) -> np.ndarray:
    """Hashes of the tokens of each rank; those of id 0 do not matter."""
    return np.random.default_rng(sum(map(ord, table))).integers(0, 2**63 - 1, len(COUNTS[table]) + 1)


def tiers(bank: Bank, table: str) -> list[int]:
    return [int(bank.sizing.of(table).settings[name]) for name in ("own", "fine", "coarse")]


def vectors(bank: Bank, table: int, first: int, last: int) -> Tensor:
    """Of ranks, which a serving bank is given as hashes."""
    ranks = torch.arange(first, last)
    ids = torch.zeros(last - first, 2, dtype=torch.int64)
    ids[:, table] = ranks if bank.form == "train" else torch.from_numpy(tokens_of(f"t{table}"))[ranks]
    return bank.eval()(ids)[:, table].detach()


def test_tiers_follow_the_counts() -> None:
    bank = bank_of(BUDGET, fade=4.0)
    # 32, 200 and 2000, 1, 12 and 8; but the last slots of a function let twelve more be coded finely
    assert tiers(bank, "t0") == [32, 204, 1996]
    assert tiers(bank, "t1") == [1, 20, 0]
    assert bank.sizing.groups[0].settings["threshold"] == 2, "all that occur twice have an entry"
    assert bank.sizing.serve_bytes == BUDGET


def test_what_is_left_goes_to_the_ids_just_below() -> None:
    kept, held = [], []
    for budget in range(BUDGET - 1500, BUDGET + 1, 100):
        bank = bank_of(budget, fade=4.0)
        kept.append(sum(tiers(bank, "t0")) + sum(tiers(bank, "t1")))
        held.append(budget - bank.sizing.serve_bytes)
        assert held[-1] >= 0
    assert kept[0] < kept[-1] == 2232 + 21, "all that occur twice or more"
    assert max(held) <= 4 * 10 + 4, "less than a block of 32 slots"


def test_no_vocabulary_is_needed_to_serve() -> None:
    bank = bank_of(BUDGET, fade=4.0)
    assert bank.sizing.vocabulary_bytes == 0
    assert bank.id_spaces() == ("rank", "rank")
    frozen = freeze(bank)
    assert frozen.id_spaces() == ("hash63", "hash63")
    assert frozen.held_bytes() == frozen.sizing.serve_bytes == bank.sizing.serve_bytes


def test_own_weights_are_exact_and_folded_ids_read_id_0() -> None:
    bank = bank_of(BUDGET, fade=4.0)
    frozen = freeze(bank)
    assert torch.equal(vectors(frozen, 0, 1, 33), vectors(bank, 0, 1, 33))
    assert torch.equal(vectors(frozen, 1, 1, 2), vectors(bank, 1, 1, 2))
    folded = (vectors(frozen, 0, 2233, 5233) == vectors(bank, 0, 0, 1)).all(dim=1)
    wrong = 3000 - int(folded.sum())
    assert abs(wrong - 3000 / 64) < 5 * math.sqrt(3000 / 64), "one of 2^6 passes the check"


def test_with_a_vocabulary_it_is_served_on_ranks() -> None:
    bank = bank_of(BUDGET, vocabulary=True)
    kept = sum(tiers(bank, "t0")) + sum(tiers(bank, "t1"))
    assert bank.sizing.vocabulary_bytes == 12 * kept == 12 * 2253
    frozen = freeze(bank)
    assert frozen.id_spaces() == ("rank", "rank")
    own = tiers(bank, "t0")[0]
    ids = torch.zeros(own + 3, 2, dtype=torch.int64)
    ids[:own, 0] = torch.arange(1, own + 1)
    ids[own:, 0] = torch.tensor([2234, 5000, 10**9])
    ids[own:, 1] = ids[own:, 0]
    expected = bank.eval()(ids.where(ids < 2234, 0))
    assert torch.equal(frozen(ids)[:, 0], expected[:, 0]), "ids beyond those that are told apart read id 0"
    assert torch.equal(frozen(ids)[:, 1], expected[:, 1])


def test_a_token_of_two_tables_is_two_keys() -> None:
    sizing = size(TABLES, BUDGET, METHOD(storage="float32", bits=4, vocabulary=False, key_bits=6), stats=STATS)
    same = {"stats": STATS, "tokens": lambda table: tokens_of("t0")[: len(COUNTS[table]) + 1]}
    bank = build(sizing, seed=3, data=same)
    frozen, ids = freeze(bank), torch.from_numpy(tokens_of("t0"))[1:2].expand(1, 2)
    assert torch.equal(frozen(ids), bank.eval()(torch.ones(1, 2, dtype=torch.int64)))


def test_fine_codes_choose_codewords_per_block_and_coarse_ones_whole_vectors() -> None:
    bank = bank_of(BUDGET, fade=4.0)
    frozen = freeze(bank)
    fine, coarse = (torch.cat([vectors(frozen, 0, *t0), vectors(frozen, 1, *t1)]) for t0, t1 in TIERS)
    for block in (fine[:, :4], fine[:, 4:]):
        assert len(block.unique(dim=0)) == 16, "codewords are shared by all tables"
    assert len(fine.unique(dim=0)) > 16
    assert len(coarse.unique(dim=0)) == 14


def test_frequent_ids_are_approximated_better() -> None:
    bank = bank_of(BUDGET, fade=4.0)
    counts = bank.group_of("t0").tensor("counts")
    assert counts[:4].tolist() == [3000.0, 4000.0, 2000.0, 1000.0], "id 0 stands for what is folded"
    rows = bank.group_of("t0").tensor("rows").data
    torch.manual_seed(0)
    rows.normal_()
    first = bank.sizing.groups[0].tables[0].settings["own"] + 1
    counts[first + 10 : first + 50] = 1e6
    exact, near = vectors(bank, 0, first, first + 200), vectors(freeze(bank), 0, first, first + 200)
    errors = (exact - near).square().sum(1)
    assert float(errors[10:50].mean()) < 0.5 * float(errors[50:].mean())


def test_without_statistics_first_ids_weigh_most() -> None:
    bank = build(size(TABLES, 20_000, METHOD(), stats=STATS), seed=0)
    counts = bank.group_of("t0").tensor("counts")
    assert counts[:4].tolist() == [1.0, 1.0, 0.5, pytest.approx(1 / 3)]


def test_bytes_by_hand() -> None:
    sizing = size(
        TABLES, BUDGET, METHOD(storage="float32", bits=4, vocabulary=False, key_bits=6, fade=4.0), stats=STATS
    )
    held = {t.name: t.nbytes for t in sizing.groups[0].serve}
    assert held == {"weights": 4 * 8 * (2 + 33 + 30), "functions": 4 * FUNCTIONS}
    trained = {t.name: t.nbytes for t in sizing.groups[0].train}
    assert trained == {"rows": 4 * 8 * (2233 + 22), "counts": 4 * (2233 + 22), "keys": 8 * (2233 + 22)}


def test_a_small_budget_has_fewer_codewords() -> None:
    for share, budget, bits in ((1 / 32, 20_000, 7), (0.25, 20_000, 8), (0.25, 600, 5)):
        sizing = size(TABLES, budget, METHOD(vocabulary=False, codewords=share), stats=STATS)
        assert sizing.groups[0].settings["bits"] == bits
    least = size(TABLES, 64, METHOD(vocabulary=False), stats=STATS)
    assert [t.settings["rows"] for t in least.groups[0].tables] == [1, 1]
    bank = build(least, seed=0)
    served = freeze(bank)(torch.tensor([[5, 2**62]]))
    assert torch.allclose(served, bank.eval()(torch.zeros(1, 2, dtype=torch.int64)), atol=0.1), "ids without an entry"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bits": 17}, "bits must be 1 to 16, got 17"),
        ({"coarse_bits": 1}, "coarse_bits must be 2 to 16, got 1"),
        ({"key_bits": -1}, "key_bits must be 0 to 16, got -1"),
        ({"blocks": 3, "bits": 11}, "bits must be at most 32 in all 3 blocks together, got 11"),
        ({"blocks": 0}, "blocks must be 1 or more, got 0"),
        ({"min_count": 0}, "min_count must be 1 or more, got 0"),
        ({"codewords": 0.0}, "codewords must be above 0 and at most 1"),
        ({"fade": 0.0}, "fade must be above 0"),
        ({"fade": math.nan}, "fade must be above 0"),
    ],
)
def test_bad_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        METHOD(**options)
