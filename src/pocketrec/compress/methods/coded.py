"""Bits by frequency: own weights for the most frequent ids, codes of 16 bits for the next, of 4 for the rare ones.

Paper: none claims it. The codes are those of product quantisation (Jegou, Douze, Schmid, IEEE TPAMI 33(1), 2011), the
    functions in which they stand are ribbons (Dillinger, Walzer, arXiv:2103.02515); that an id deserves bits in
    proportion to the logarithm of its weight is rate-distortion theory (Cover and Thomas, Elements of Information
    Theory, 2nd ed., section 10.3.3: reverse water-filling).
Bytes: own weights and codewords in the storage (int4: 9 bytes per 16 weights), half a byte per id that has an entry,
    2 more if it is coded finely, about log2(own ids) bits more if it has its own weights, and 6 to 12 % on top. With a
    vocabulary 12 bytes for each of them stand beside it; without one (`vocabulary` = False) 4 bits more each, and
    nothing else. Training holds a float32 row, a count and a hash for each.
Use when: the budget is far below a row per id that matters, and training may take more memory than serving. On the
    Criteo sample at 1000x it is .0034 of AUC ahead of robe and .0073 of min_count, all in int4 (15 pairs over three
    windows), on KuaiRand at 100x .0065 ahead of robe, on Frappe at 20x .0022 (docs/results.md, "Bits by frequency").
    Without a vocabulary it is ahead of robe, which needs none either, by .0016 at 100x of the Criteo sample. Train it
    with train.relearn where a second epoch is worse than the first: that gives .002 more, to this as to other methods.
Did not help when: bytes are plenty (10x of the Criteo sample: +.0003, hardly more than min_count in float32; 2x of
    Frappe: nothing over min_count in int8). At 100x of the Criteo sample it gains .0009 over min_count in int4, which
    is as good as full tables there; where both relearn, .0006 (error .0004), and at 10x it is .0005 behind min_count in
    float32. Without a vocabulary it is behind robe on KuaiRand at 100x, where nearly every id has an
    entry. `min_count` = 1 where rare ids matter (users), 2 on Criteo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing.keyed_codes import KeyedCodes
from pocketrec.compress.holdings import Array, Holding, Rows, Scratch, Served
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.codewords import codewords
from pocketrec.compress.parts.init import stream
from pocketrec.compress.parts.row_tables import fold_dense, per_table, row_access, total_rows, uniform_rows
from pocketrec.compress.parts.shared_array import array_bytes
from pocketrec.compress.parts.tiers import Tally, tiers_within
from pocketrec.compress.share import most_frequent
from pocketrec.spec.function_sizes import keyed_functions
from pocketrec.spec.sizing import GroupSizing, SizedIds, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Coded"]

_TIERS: Final = ("own", "fine", "coarse")
_SYMBOLS: Final = 2  # of the values of a coarse code, that say that an id has something better


@final
@dataclass(frozen=True, kw_only=True)
class Coded(Method):
    """Rows while it trains; when it is frozen they become own weights, fine codes and coarse codes.

    An id is worth the bits of a tier from so many occurrences on as it costs more bits than the tier before, and `fade`
    times as many for each tier, because the first bits say most. So there is one threshold t: ids that occur t times or
    more have one code for the whole vector, some multiples of t a code per block and weights of their own, and all
    others share the weights of id 0. The budget decides t. Codewords are shared by all tables and found by k-means, in
    which an id weighs what it occurs. What an id has is said by functions
    (`pocketrec.native.keyed_codes`): of its rank, which a vocabulary knows, or, with `vocabulary` = False, of its
    token's hash, so that serving needs none: a bank is then trained on ranks and served on hashes. Where nobody gave
    tokens, an id stands for itself.

    Attributes:
        blocks: that a finely coded vector is cut into, 1 or more; each has a code.
        bits: of those codes, at most, 1 to 16; fewer where `codewords` says so.
        coarse_bits: of the code of a rare id's whole vector, 2 to 16. Two of its values say that an id has something
            better.
        fade: by how much a bit of a tier says less than one of the tier before, above 0.
        codewords: share of the budget that codewords of blocks may take, above 0 and at most 1.
        min_count: occurrences that an id needs to be told apart at all, 1 or more.
        key_bits: of an id's hash that are checked, 0 to 16: one of 2^key_bits ids without an entry reads the weights
            of another one. With a vocabulary none are.
        vocabulary: whether it is served on ranks, too, with a vocabulary of 12 bytes per id that has an entry, which
            tells ids apart: no bits of their hashes are checked then.
    """

    name = "coded"
    traits = Traits(ids=("rank",), needs_counts=True, from_dense=True)

    storage: str = "int4"
    blocks: int = 2
    bits: int = 8
    coarse_bits: int = 4
    fade: float = 2.0
    codewords: float = 0.25
    min_count: int = 2
    key_bits: int = 4
    vocabulary: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("blocks", self.blocks >= 1, "be 1 or more")
        self.require("bits", 1 <= self.bits <= 16, "be 1 to 16")
        self.require("bits", self.blocks * self.bits <= 32, f"be at most 32 in all {self.blocks} blocks together")
        self.require("coarse_bits", 2 <= self.coarse_bits <= 16, "be 2 to 16")
        self.require("key_bits", 0 <= self.key_bits <= 16, "be 0 to 16")
        self.require("codewords", 0 < self.codewords <= 1, "be above 0 and at most 1")
        self.require("min_count", self.min_count >= 1, "be 1 or more")
        self.require("fade", 0 < self.fade < math.inf, "be above 0")
        if not self.vocabulary:
            object.__setattr__(self, "traits", replace(type(self).traits, rehashed=True))

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return array_bytes(self.storage, len(tables) * self._width(tables[0].dim))

    def _block(self, dim: int) -> int:
        return -(-dim // self.blocks)

    def _width(self, dim: int) -> int:
        """Weights that an id owns: whole blocks."""
        return self.blocks * self._block(dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        width, tally = self._width(tables[0].dim), Tally.of(stats[t.name] for t in tables)
        fitting = range(1, self.bits + 1)
        room = [b for b in fitting if array_bytes(self.storage, width << b) <= self.codewords * budget_bytes]
        bits = max(room, default=1)
        fits = _Fits(partial(_Layout, self, len(tables), tables[0].dim, bits), budget_bytes)
        tiers, threshold = tiers_within(tally, self._factors(width, bits), self.min_count, fits)
        found = []
        left = [stats[t.name] for t in tables]
        most = [t.closed_rows - 1 for t in tables]
        for wanted in tiers:
            ids, _ = most_frequent(most, left, wanted)
            left = [s.behind(n) for s, n in zip(left, ids, strict=True)]
            most = [m - n for m, n in zip(most, ids, strict=True)]
            found.append(ids)
        sized = [
            TableSizing(
                table=t,
                ids="rank",
                told_apart=sum(of) if self.vocabulary else 0,
                settings={"rows": 1 + sum(of), **dict(zip(_TIERS, of, strict=True))},
            )
            for t, *of in zip(tables, *found, strict=True)
        ]
        hashes = (
            "Trained on ranks, served on hashes of the tokens: functions of them stand in the place of a vocabulary."
        )
        settings = {"bits": bits, "threshold": round(threshold, 3)}
        return Decision(tables=tuple(sized), settings=settings, notes=() if self.vocabulary else (hashes,))

    @property
    def checked_bits(self) -> int:
        """Bits of an id's hash that are checked."""
        return 0 if self.vocabulary else self.key_bits

    def _factors(self, width: int, bits: int) -> tuple[float, float, float]:
        """How many times as often as ids of the last tier those of each must occur."""
        first, fine = self.coarse_bits + self.checked_bits, self.blocks * bits
        own = array_bytes(self.storage, 64 * width) / 8 - fine
        of_fine = max(1.0, self.fade * fine / first)
        return max(of_fine, self.fade**2 * own / first), of_fine, 1.0

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        rows, layout = total_rows(tables), self._layout(tables, settings)
        return (
            Rows("rows", rows, tables[0].table.dim, served=False),
            Scratch("counts", (rows,), "float32"), Scratch("keys", (rows,), "int64"),
            Array("weights", layout.weights, trained=False), Served("functions", (layout.words,), "int32"),
        )  # fmt: skip

    def _layout(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> _Layout:
        tiers = (sum(int(t.settings[tier]) for t in tables) for tier in _TIERS)
        return _Layout(
            self, len(tables), tables[0].table.dim, int(settings["bits"]), *tiers
        )  # fmt: skip

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        import torch  # here, not above: sizing answers without it

        uniform_rows(group, "rows", self.init, seed=seed)
        given, tables = data or {}, group.sizing.tables
        for counts, keys, sized in zip(
            per_table(group.tensor("counts"), tables), per_table(group.tensor("keys"), tables), tables, strict=True
        ):
            # without statistics as Zipf's law has it, and as much for all other ids as for the first
            counts[1:] = 1 / torch.arange(1, len(counts))
            counts[0] = 1.0
            if sized.table.name in given.get("stats", {}):
                counts.copy_(_counts(given["stats"][sized.table.name], len(counts)))
            torch.arange(len(keys), out=keys)  # without tokens an id stands for itself
            if "tokens" in given and not self.vocabulary:
                keys.copy_(torch.tensor(given["tokens"](sized.table.name)[: len(keys)]))

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        fold_dense(group, "rows", weights)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        tables, dim = sizing.tables, sizing.tables[0].table.dim
        if "rows" in tensors:
            return row_access(sizing, "rows", width=dim)
        layout, width = self._layout(tables, sizing.settings), self._width(dim)
        addressing = [
            KeyedCodes(
                weights=layout.weights, block=self._block(dim), seed=place, unknown=place * width,
                own_start=len(tables) * width, own=layout.own, fine=layout.fine, coarse=layout.coarse, bits=layout.bits,
                whole_bits=self.coarse_bits, key_bits=self.checked_bits,
                ranks=int(sized.settings["rows"]) if self.vocabulary else None,
            )
            for place, sized in enumerate(tables)
        ]  # fmt: skip
        return Access(
            regions=("weights",), addressing=addressing, width=dim, parts=self.blocks, combine=Combine.concat,
            maps="functions",
        )  # fmt: skip

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        """Vectors of ids without an entry, own ones, codewords; functions of hashes."""
        import torch

        from pocketrec.compress.freeze import encoded
        from pocketrec.compress.in_float32 import float32_weights
        from pocketrec.native.keyed_codes import keyed_words
        from pocketrec.native.mix import mix

        tables, layout = group.sizing.tables, self._layout(group.sizing.tables, group.sizing.settings)
        rows = torch.nn.functional.pad(float32_weights(group, "rows"), (0, self._width(group.dim) - group.dim))
        tier = _of_tiers(tables)
        own, fine, coarse = (tier == place for place in range(len(_TIERS)))
        counts = group.tensor("counts")
        blocks = [
            _coded(block, counts[fine], 1 << layout.bits, seed=2 + place)
            for place, block in enumerate(torch.split(rows[fine], self._block(group.dim), dim=1))
        ]
        whole, codes = _coded(rows[coarse], counts[coarse], (1 << self.coarse_bits) - _SYMBOLS, seed=1)
        shared = [*(words for words, _ in blocks), whole] if bool((fine | coarse).any()) else []
        keys = mix(
            group.tensor("keys"), torch.repeat_interleave(torch.tensor([int(t.settings["rows"]) for t in tables]))
        )
        functions = keyed_words(
            own=keys[own], fine=keys[fine], fine_codes=torch.stack([of for _, of in blocks], dim=1), whole=keys[coarse],
            whole_codes=codes, bits=layout.bits, whole_bits=self.coarse_bits, key_bits=self.checked_bits,
        )  # fmt: skip
        weights = torch.cat([each.flatten() for each in (rows[tier < 0], rows[own], *shared)])
        ids: SizedIds = "rank" if self.vocabulary else "hash63"
        served = replace(group.sizing, tables=tuple(replace(t, ids=ids) for t in tables))
        return served, encoded(group, {"weights": weights, "functions": functions})


@final
@dataclass(frozen=True, slots=True)
class _Layout:
    """What serves, for so many ids of each tier: vectors in one array, functions in another.

    The array holds a vector per table for ids without an entry, own ones, codewords if anybody has a code.
    """

    method: Coded
    tables: int
    dim: int
    bits: int
    own: int
    fine: int
    coarse: int

    @property
    def weights(self) -> int:
        codewords = (1 << self.bits) + (1 << self.method.coarse_bits) - _SYMBOLS if self.fine + self.coarse else 0
        return self.method._width(self.dim) * (self.tables + self.own + codewords)

    @property
    def words(self) -> int:
        functions = keyed_functions(
            own=self.own, fine=self.fine, whole=self.coarse, parts=self.method.blocks, bits=self.bits,
            whole_bits=self.method.coarse_bits, key_bits=self.method.checked_bits,
        )  # fmt: skip
        return sum(function.words for function in functions)

    @property
    def nbytes(self) -> int:
        return array_bytes(self.method.storage, self.weights) + 4 * self.words


@final
@dataclass(frozen=True, slots=True)
class _Fits:
    """Whether what serves so many ids of each tier fits the budget."""

    layout: Callable[..., _Layout]
    budget_bytes: int

    def __call__(self, tiers: Sequence[int]) -> bool:
        return self.layout(*tiers).nbytes <= self.budget_bytes


def _of_tiers(tables: Sequence[TableSizing]) -> Tensor:
    """The tier of each row: int64 [rows], 0 to 2, or -1 for that of ids without an entry."""
    import torch

    sizes = [(1, *(int(t.settings[tier]) for tier in _TIERS)) for t in tables]
    return torch.repeat_interleave(torch.tensor([-1, 0, 1, 2] * len(tables)), torch.tensor(sizes).flatten())


def _coded(vectors: Tensor, counts: Tensor, count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Codewords and codes; zeros where there is nothing to be coded."""
    import torch

    if not len(vectors):
        return torch.zeros(count, vectors.shape[1]), torch.zeros(0, dtype=torch.int64)
    return codewords(vectors, counts, count, seed=stream(0, seed))


def _counts(stats: TableStats, rows: int) -> Tensor:
    """How often the ids of each row occur: float32 [rows], at least 1; row 0 stands for all that have none."""
    import torch

    found = torch.ones(rows)
    at = 1
    for count, ids in stats.histogram:
        found[at : at + ids] = count
        at += ids
        if at >= rows:
            break
    found[0] = max(1, sum(count * ids for count, ids in stats.behind(rows - 1).histogram))
    return found


METHOD = Coded
