"""Tables of learned codes beside exact ones: sizes, what is held, where it is found, and the serving form.

Training holds a row per id and codebooks; serving holds packed codes and codebooks. ``settings["rows"]`` of a table
says how many ids have codes in this group, ``settings["frequent"]`` how many of them have long ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing.packed_codes import PackedCodes
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Array, Holding, Matrix, Rows, Served
from pocketrec.compress.method import Decision
from pocketrec.compress.parts.codebooks import Coding, chosen_words, past_the_choice, pull
from pocketrec.compress.parts.init import uniform_
from pocketrec.compress.parts.row_tables import per_table as of_each_table
from pocketrec.compress.parts.row_tables import starts, total_rows
from pocketrec.compress.parts.shared_array import array_bytes
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.computed import Asked
    from pocketrec.compress.group import Group

__all__ = [
    "CODED", "QUERIES", "Choose", "Frequent", "blocks_of_rows", "coded", "coded_access", "coded_bytes",
    "coded_holdings", "codes_of", "coding_of", "decided", "fill_codebook", "frozen_codes", "is_smaller",
    "nearest_vectors",
]  # fmt: skip

CODED: Final = "coded"
"""``settings["part"]`` of the group of codes."""

QUERIES: Final = "queries"
"""The rows that choose; training only."""

_WORD_BYTES: Final = 4

Frequent = Callable[[int], int]
"""How many of so many rows have long codes."""

Choose = Callable[[int, "Tensor", "Tensor"], "Tensor"]
"""Codes int64 [n, blocks] of ids int64 [n] with these rows float32 [n, blocks, block], of the codebooks of a number."""


# -- sizes -----------------------------------------------------------------------------------------------------------


def is_smaller(storage: str, table: TableSpec, coding: Coding, frequent: Frequent) -> bool:
    """Whether codes and codebooks are smaller than the table's rows."""
    rows = table.closed_rows
    return coding.nbytes(storage, rows, frequent(rows)) < rows * STORAGES.get(storage).row_bytes(table.dim)


def coded_bytes(storage: str, tables: Sequence[TableSpec], coding: Coding, frequent: Frequent) -> int:
    """Serving bytes, exactly: codes where they are smaller, rows elsewhere."""
    rows = [t.closed_rows for t in tables if is_smaller(storage, t, coding, frequent)]
    exact = sum(t.closed_rows for t in tables) - sum(rows)
    words = sum(coding.words(n, frequent(n)) for n in rows)
    codebooks = array_bytes(storage, len(rows) * coding.weights) + _WORD_BYTES * words
    return codebooks + exact * STORAGES.get(storage).row_bytes(tables[0].dim)


def decided(
    storage: str, tables: Sequence[TableSpec], budget_bytes: int, codings: Sequence[Coding], frequent: Frequent
) -> Decision:
    """The first coding that fits; one does."""
    coding = next(c for c in codings if coded_bytes(storage, tables, c, frequent) <= budget_bytes)
    sized = tuple(
        TableSizing(
            table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
            settings={"rows": t.closed_rows, "frequent": frequent(t.closed_rows)},
        )
        for t in tables
    )  # fmt: skip
    return Decision(tables=sized, settings=asdict(coding))


def coding_of(settings: Mapping[str, Any]) -> Coding:
    """The coding that was decided."""
    return Coding(*(int(settings[name]) for name in ("blocks", "block", "bits", "few_bits")))


def coded(tables: Sequence[TableSizing]) -> list[int]:
    """The tables that have codes in this group."""
    return [place for place, t in enumerate(tables) if t.settings["rows"]]


def _sizes(tables: Sequence[TableSizing]) -> list[tuple[int, int]]:
    """Ids with codes and with long codes, of each table."""
    rows = [int(t.settings["rows"]) for t in tables]
    return [(n, min(n, int(t.settings["frequent"]))) for n, t in zip(rows, tables, strict=True)]


def coded_holdings(
    tables: Sequence[TableSizing], settings: Mapping[str, Any], matrices: Sequence[str]
) -> tuple[Holding, ...]:
    """What the group of codes holds.

    Args:
        tables: of the group.
        settings: of the group.
        matrices: names of the codebooks that train, float32 [coded tables, blocks, codewords, block] each. Those that
            serve are an array in the storage.
    """
    coding, count = coding_of(settings), len(coded(tables))
    words = sum(coding.words(*of) for of in _sizes(tables))
    shape = (count, coding.blocks, coding.codewords, coding.block)
    return (
        Rows(QUERIES, total_rows(tables), tables[0].table.dim, served=False),
        *(Matrix(name, shape, served=False) for name in matrices),
        Array("weights", count * coding.weights, trained=False), Served("codes", (words,), "int32"),
    )  # fmt: skip


def fill_codebook(words: Tensor, half_width: float, dim: int, *, seed: int) -> None:
    """Fill with starting codewords, float32 [blocks, codewords, block]; what hangs over a vector's end stays zeros."""
    uniform_(words, half_width, seed=seed)
    blocks, _, block = words.shape
    words[-1, :, block - (blocks * block - dim) :] = 0.0


# -- looking up ------------------------------------------------------------------------------------------------------


def coded_access(sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
    """Rows from which vectors are computed while it trains, codewords that packed codes choose when it serves."""
    tables, coding, dim = sizing.tables, coding_of(sizing.settings), sizing.tables[0].table.dim
    if QUERIES in tensors:
        rows = [
            Row(start=start, rows=n, fold=0 if n else -1)
            for start, (n, _) in zip(starts(tables), _sizes(tables), strict=True)
        ]
        return Access(regions=(QUERIES,), addressing=rows, width=dim, computes=True)
    addressing, first_word, number = [], 0, 0
    for n, frequent in _sizes(tables):
        addressing.append(
            PackedCodes(
                weights=len(coded(tables)) * coding.weights, block=coding.block, codewords=number * coding.weights,
                ids=n, wide_ids=frequent, bits=coding.bits, few_bits=coding.few_bits, first_word=first_word,
            )
        )  # fmt: skip
        first_word, number = first_word + coding.words(n, frequent), number + bool(n)
    return Access(
        regions=("weights",), addressing=addressing, width=dim, parts=coding.blocks, combine=Combine.concat,
        maps="codes",
    )  # fmt: skip


def blocks_of_rows(rows: Tensor, coding: Coding) -> Tensor:
    """Rows float32 [n, dim] as blocks, float32 [n, blocks, block]; what hangs over is zeros."""
    import torch  # here, not above: sizing answers without it

    padded = torch.nn.functional.pad(rows, (0, coding.width - rows.shape[1]))
    return padded.view(rows.shape[0], coding.blocks, coding.block)


def codes_of(group: Group, asked: Asked, rows: Tensor, choose: Choose) -> tuple[Tensor, Tensor]:
    """Which codebooks each id has, int64 [n], and its codes, int64 [n, blocks]; 0 for exact tables, never asked."""
    import torch

    from pocketrec.compress.computed import per_table

    coding = coding_of(group.sizing.settings)
    queries, number = blocks_of_rows(rows.detach(), coding), {p: n for n, p in enumerate(coded(group.sizing.tables))}

    def compute(place: int, at: Tensor) -> Tensor:
        if place not in number:
            return at.new_zeros(at.shape[0], coding.blocks)
        return choose(place, asked.ids.index_select(0, at), queries.index_select(0, at))

    codes = per_table(group, asked, compute, of=torch.arange(asked.ids.shape[0]))
    numbers = torch.tensor([number.get(place, 0) for place in range(len(group.sizing.tables))])
    return numbers.index_select(0, asked.tables), codes


def nearest_vectors(group: Group, rows: Tensor, asked: Asked, words: Tensor, weight: float, choose: Choose) -> Tensor:
    """The codewords that rows choose; their gradient goes to the rows as it is, and codewords are pulled to the rows.

    With c the codewords and q the rows the vectors are ``sg(c) + q - sg(q)``, to the bit ``c``, and to the loss comes
    ``weight x mean (c - sg(q))^2`` (`pocketrec.compress.parts.codebooks.pull`), which is all that moves codewords.

    Args:
        group: in the training form.
        rows: float32 [n, dim].
        asked: what is asked for.
        words: float32 [coded tables, blocks, codewords, block].
        weight: of the pull, 0 or more.
        choose: the codes.
    """
    import torch

    from pocketrec.compress.computed import with_loss

    chosen = chosen_words(words, *codes_of(group, asked, rows, choose))[:, : group.dim]
    vectors = past_the_choice(chosen.detach(), rows)
    if not torch.is_grad_enabled():
        return vectors
    return with_loss(vectors, weight * pull(chosen, rows, asked, len(group.sizing.tables)))


# -- serving ---------------------------------------------------------------------------------------------------------


def frozen_codes(group: Group, words: Tensor, choose: Choose) -> tuple[GroupSizing, dict[str, Tensor]]:
    """The serving form: codewords in the storage, the codes that all rows choose.

    Args:
        group: in the training form.
        words: float32 [coded tables, blocks, codewords, block], what serves.
        choose: the codes.
    """
    import torch

    from pocketrec.compress.freeze import encoded
    from pocketrec.compress.in_float32 import float32_weights
    from pocketrec.native.packed_codes import packed_words

    tables, coding = group.sizing.tables, coding_of(group.sizing.settings)
    found = [torch.empty(0, dtype=torch.int32)]
    of_tables = of_each_table(float32_weights(group, QUERIES), tables)
    for place, (rows, (n, frequent)) in enumerate(zip(of_tables, _sizes(tables), strict=True)):
        if n:
            codes = choose(place, torch.arange(n), blocks_of_rows(rows, coding))
            found.append(packed_words([(codes[:frequent], coding.bits), (codes[frequent:], coding.few_bits)]))
    made = {"weights": words.detach().flatten(), "codes": torch.cat(found)}
    return replace(group.sizing), encoded(group, made)
