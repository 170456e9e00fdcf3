from __future__ import annotations

import torch

from pocketrec.compress import build, freeze, size
from pocketrec.compress.parts.codebooks import Coding
from pocketrec.compress.parts.coded_tables import (
    blocks_of_rows,
    coded,
    coded_access,
    coded_bytes,
    coding_of,
    fill_codebook,
    is_smaller,
)
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of

TABLES = [TableSpec(name=n, rows=r, dim=6, ids="rank") for n, r in (("a", 3000), ("few", 20), ("b", 2000))]
CODING = Coding(blocks=3, block=2, bits=5, few_bits=3)


def tenth(rows: int) -> int:
    return rows // 10


def test_small_tables_stay_exact_and_bytes_are_added_up() -> None:
    assert [is_smaller("float32", t, CODING, tenth) for t in TABLES] == [True, False, True]
    words = [-(-3 * (n // 10 * 5 + (n - n // 10) * 3) // 32) for n in (3000, 2000)]
    assert coded_bytes("float32", TABLES, CODING, tenth) == 4 * (2 * 3 * 32 * 2 + sum(words)) + 20 * 24


def test_codes_of_each_table_begin_with_a_word_and_codebooks_follow_one_another() -> None:
    _, group = size(TABLES, "15x", "mgqe", parts=3).groups
    coding = coding_of(group.settings)
    assert coded(group.tables) == [0, 2]
    access = coded_access(group, {"weights": torch.empty(0), "codes": torch.empty(0)})
    first, none, last = access.addressing
    assert (first.codewords, first.first_word, first.ids, first.wide_ids) == (0, 0, 3000, 300)
    assert none.ids == none.wide_ids == 0
    assert (last.codewords, last.first_word) == (coding.weights, coding.words(3000, 300))
    assert last.first_word + coding.words(2000, 200) == next(t.shape for t in group.serve if t.name == "codes")[0]
    assert access.parts == coding.blocks
    assert not access.computes


def test_no_row_is_served() -> None:
    sizing = size(TABLES, "15x", "mgqe")
    frozen = freeze(build(sizing, seed=0))
    assert [sorted(g.tensors()) for g in groups_of(frozen)] == [["rows"], ["codes", "weights"]]


def test_what_hangs_over_is_zeros() -> None:
    rows = torch.arange(10.0).view(2, 5)
    blocks = blocks_of_rows(rows, CODING)
    assert blocks.shape == (2, 3, 2)
    assert blocks.flatten(1)[:, :5].equal(rows)
    assert not blocks[:, 2, 1].any()
    words = torch.empty(3, 32, 2)
    fill_codebook(words, 0.5, 5, seed=1)
    assert not words[2, :, 1].any()
    assert words[2, :, 0].all()
    assert words.abs().max() <= 0.5
    fill_codebook(words, 0.5, 6, seed=1)
    assert words.all()
