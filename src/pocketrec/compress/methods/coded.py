"""Bits by frequency: own weights for the most frequent ids, codes of 16 bits for the next, of 4 for the rare ones.

Paper: none claims it. The codes are those of product quantisation (Jegou, Douze, Schmid, IEEE TPAMI 33(1), 2011); that
    an id deserves bits in proportion to the logarithm of its weight is rate-distortion theory (Cover and Thomas,
    Elements of Information Theory, 2nd ed., section 10.3.3: reverse water-filling).
Bytes: own weights and codewords in the storage (int4: 9 bytes per 16 weights), 2 bytes per finely coded id, half a byte
    per coarsely coded one. Training holds a float32 row for each of them, as min_count of so many ids would.
Use when: the budget is far below a row per id that matters, and training may take more memory than serving. On the
    Criteo sample at 1000x it is .0039 of AUC ahead of robe and .0079 of min_count, all in int4 (15 pairs over three
    windows), on KuaiRand at 100x .0084 ahead of robe, on Frappe at 20x .0063 (docs/results.md, "Bits by frequency").
Did not help when: bytes are plenty (10x of the Criteo sample: +.0002, within noise of min_count in float32; 2x of
    Frappe: nothing over min_count in int8). At 100x of the Criteo sample it gains .0009 over min_count in int4, which
    is as good as full tables there. Every id that is told apart needs a vocabulary, which is then larger than the
    tables: where its bytes count, robe is ahead. `min_count` = 1 where rare ids matter (users), 2 on Criteo.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing.codes import Codes
from pocketrec.compress.holdings import Array, Holding, Rows, Scratch, Served
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.codewords import code_words, codewords, packed_codes
from pocketrec.compress.parts.init import stream
from pocketrec.compress.parts.row_tables import fold_dense, per_table, row_access, total_rows, uniform_rows
from pocketrec.compress.parts.shared_array import array_bytes
from pocketrec.compress.share import most_frequent
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Coded"]

_WIDTHS: Final = (1, 2, 4, 8, 16)  # of codes, in bits
_ROUNDS: Final = 60  # halvings of the interval in which the threshold is searched
_CODEWORDS: Final = 0.25  # of the budget, at most, for codewords of blocks


@final
@dataclass(frozen=True, kw_only=True)
class Coded(Method):
    """Rows while it trains; when it is frozen they become own weights, fine codes and coarse codes.

    An id that occurs `step` times as often as another deserves one tier more. So there is one threshold t: ids that
    occur t x `step`^2 times or more have weights of their own, from t x `step` on a code per block, from t on one code
    for the whole vector, and all others share the weights of id 0. The budget decides t. Codewords are shared by all
    tables and found by k-means, in which an id weighs what it occurs.

    Attributes:
        blocks: that a finely coded vector is cut into, 1 or more; each has a code.
        bits: of those codes, at most: 1, 2, 4, 8 or 16. Fewer where their codewords would take over a quarter of the
            budget.
        coarse_bits: of the code of a rare id's whole vector, likewise 1 to 16.
        step: how many times as often an id must occur to be kept one tier finer, above 1.
        min_count: occurrences that an id needs to be told apart at all, 1 or more.
    """

    name = "coded"
    traits = Traits(ids=("rank",), needs_counts=True, from_dense=True)

    storage: str = "int4"
    blocks: int = 2
    bits: int = 8
    coarse_bits: int = 4
    step: float = 8.0
    min_count: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits not in _WIDTHS or self.coarse_bits not in _WIDTHS:
            raise OptionError(f"coded: bits and coarse_bits must be 1, 2, 4, 8 or 16, got {self}.")
        if self.blocks < 1 or self.min_count < 1 or not 1 < self.step < float("inf"):
            raise OptionError(f"coded: blocks and min_count must be 1 or more, step above 1, got {self}.")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return array_bytes(self.storage, len(tables) * self._width(tables[0].dim))

    def _block(self, dim: int) -> int:
        return -(-dim // self.blocks)

    def _width(self, dim: int) -> int:
        """Weights that an id owns: whole blocks."""
        return self.blocks * self._block(dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        width = self._width(tables[0].dim)
        fitting = [b for b in _WIDTHS if b <= self.bits]
        room = [b for b in fitting if array_bytes(self.storage, width << b) <= _CODEWORDS * budget_bytes]
        bits = max(room, default=fitting[0])
        fits = _Fits(self, len(tables), width, bits, budget_bytes)
        tiers, threshold = self._tiers(_Tally.of(stats[t.name] for t in tables), fits)
        sized, told_apart = [], []
        left = [stats[t.name] for t in tables]
        most = [t.closed_rows - 1 for t in tables]
        for wanted in tiers:
            found, _ = most_frequent(most, left, wanted)
            left = [s.behind(n) for s, n in zip(left, found, strict=True)]
            most = [m - n for m, n in zip(most, found, strict=True)]
            told_apart.append(found)
        for table, own, fine, coarse in zip(tables, *told_apart, strict=True):
            kept = own + fine + coarse
            settings = {"rows": kept + 1, "own": own, "fine": fine, "coarse": coarse}
            sized.append(TableSizing(table=table, ids="rank", told_apart=kept, settings=settings))
        return Decision(tables=tuple(sized), settings={"bits": bits, "threshold": round(threshold, 3)})

    def _tiers(self, tally: _Tally, fits: _Fits) -> tuple[list[int], float]:
        """How many ids have weights of their own, fine and coarse codes; and the least count of the last ones."""
        low, high = 0.0, float(tally.most + 1)  # at `high` nobody is told apart
        if fits(self._above(tally, low)):
            high = low
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            low, high = (low, middle) if fits(self._above(tally, middle)) else (middle, high)
        tiers = self._above(tally, high)
        # Ids of one count come over a threshold all at once: as many of the next ones as still fit.
        tiers = _raised(tiers, 2, sum(self._above(tally, low)) - sum(tiers), fits)
        for tier in (1, 0):
            tiers = _raised(tiers, tier, tiers[tier + 1], fits)
        return tiers, max(high, self.min_count)

    def _above(self, tally: _Tally, threshold: float) -> list[int]:
        """Ids in each tier at this threshold."""
        least = [max(threshold * factor, self.min_count) for factor in (self.step**2, self.step, 1.0)]
        total = [tally.ids_at_least(each) for each in least]
        return [total[0], total[1] - total[0], total[2] - total[1]]

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        dim, bits = tables[0].table.dim, int(settings["bits"])
        return (
            Rows("rows", total_rows(tables), dim, served=False),
            Scratch("counts", (total_rows(tables),), "float32"),
            Array("weights", self._own_weights(tables) + self._shared_weights(tables, bits), trained=False),
            Served("codes", (sum(self._words(t, bits) for t in tables),), "int32"),
        )

    def _own_weights(self, tables: Sequence[TableSizing]) -> int:
        width = self._width(tables[0].table.dim)
        return width * sum(1 + int(t.settings["own"]) for t in tables)

    def _shared_weights(self, tables: Sequence[TableSizing], bits: int) -> int:
        """Of all codewords; where nobody is coded there are none."""
        some = any(int(t.settings["rows"]) > 1 + int(t.settings["own"]) for t in tables)
        return self._width(tables[0].table.dim) * ((1 << bits) + (1 << self.coarse_bits)) if some else 0

    def _words(self, sized: TableSizing, bits: int) -> int:
        """int32 words of a table's codes: fine ones, then, from the next word on, coarse ones."""
        fine, coarse = int(sized.settings["fine"]), int(sized.settings["coarse"])
        return code_words(self.blocks * fine, bits) + code_words(coarse, self.coarse_bits)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        import torch  # here, not above: sizing answers without it

        uniform_rows(group, "rows", self.init, seed=seed)
        stats, tables = (data or {}).get("stats", {}), group.sizing.tables
        for counts, sized in zip(per_table(group.tensor("counts"), tables), tables, strict=True):
            # without statistics as Zipf's law has it, and as much for all other ids as for the first
            counts[1:] = 1 / torch.arange(1, len(counts))
            counts[0] = 1.0
            if sized.table.name in stats:
                counts.copy_(_counts(stats[sized.table.name], len(counts)))

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        fold_dense(group, "rows", weights)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        tables, dim = sizing.tables, sizing.tables[0].table.dim
        if "rows" in tensors:
            return row_access(sizing, "rows", width=dim)
        bits, width, own = int(sizing.settings["bits"]), self._width(dim), self._own_weights(tables)
        addressing, start, place = [], 0, 0
        for sized in tables:
            settings = {name: int(sized.settings[name]) for name in ("own", "fine", "coarse")}
            codes = Codes(
                weights=own + self._shared_weights(tables, bits), block=self._block(dim), own_start=start,
                own_width=width, codewords=own, bits=bits, whole_bits=self.coarse_bits, place=place, **settings,
            )  # fmt: skip
            addressing.append(codes)
            start, place = start + width * (1 + settings["own"]), place + self._words(sized, bits)
        return Access(
            regions=("weights",), addressing=addressing, width=dim, parts=self.blocks, combine=Combine.concat,
            maps="codes",
        )  # fmt: skip

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        """Own weights, then codewords; the codes by table."""
        import torch

        from pocketrec.compress.freeze import encoded
        from pocketrec.compress.in_float32 import float32_weights

        tables, bits, width = group.sizing.tables, int(group.sizing.settings["bits"]), self._width(group.dim)
        rows = per_table(float32_weights(group, "rows"), tables)
        rows = [torch.nn.functional.pad(each, (0, width - group.dim)) for each in rows]
        counts = per_table(group.tensor("counts"), tables)
        made = [each[: 1 + int(t.settings["own"])].flatten() for each, t in zip(rows, tables, strict=True)]
        fine, coarse = _between(rows, tables, "fine"), _between(rows, tables, "coarse")
        codes: list[Tensor] = []
        if self._shared_weights(tables, bits):
            found, fine_codes = self._fine(fine, _between(counts, tables, "fine"), bits)
            made.append(found)
            words, coarse_codes = _coded(coarse, _between(counts, tables, "coarse"), 1 << self.coarse_bits, seed=1)
            made.append(words.flatten())
            for sized, own, whole in zip(
                tables, _split(fine_codes, tables, "fine"), _split(coarse_codes, tables, "coarse"), strict=True
            ):
                codes += [packed_codes(own.flatten(), bits), packed_codes(whole, self.coarse_bits)]
                assert sum(map(len, codes[-2:])) == self._words(sized, bits)
        held = {"weights": torch.cat(made), "codes": torch.cat([*codes, torch.empty(0, dtype=torch.int32)])}
        return group.sizing, encoded(group, held)

    def _fine(self, vectors: Tensor, counts: Tensor, bits: int) -> tuple[Tensor, Tensor]:
        """Codewords of all blocks, flat, and a code per vector and block: int64 [n, blocks]."""
        import torch

        parts = vectors.view(len(vectors), self.blocks, -1).unbind(1)
        found = [_coded(part, counts, 1 << bits, seed=2 + block) for block, part in enumerate(parts)]
        return torch.cat([words.flatten() for words, _ in found]), torch.stack([codes for _, codes in found], dim=1)


@final
@dataclass(frozen=True, slots=True)
class _Tally:
    """How many ids of all tables occur at least so often: counts, rising, and the ids from each count on."""

    counts: Sequence[int]
    ids: Sequence[int]

    @staticmethod
    def of(stats: Iterable[TableStats]) -> _Tally:
        found: Counter[int] = Counter()
        for table in stats:
            found.update(dict(table.histogram))
        counts = sorted(found)
        return _Tally(counts, [*accumulate(found[count] for count in reversed(counts))][::-1])

    @property
    def most(self) -> int:
        return self.counts[-1] if self.counts else 0

    def ids_at_least(self, count: float) -> int:
        place = bisect_left(self.counts, count)
        return self.ids[place] if place < len(self.ids) else 0


@final
@dataclass(frozen=True, slots=True)
class _Fits:
    """Whether so many ids of each tier fit; at most one word per table and tier is given away."""

    method: Coded
    tables: int
    width: int
    bits: int
    budget_bytes: int

    def __call__(self, tiers: Sequence[int]) -> bool:
        own, fine, coarse = tiers
        shared = (1 << self.bits) + (1 << self.method.coarse_bits) if fine + coarse else 0
        words = code_words(fine * self.method.blocks, self.bits) + code_words(coarse, self.method.coarse_bits)
        given_away = 2 * self.tables if fine + coarse else 0
        weights = (self.tables + own + shared) * self.width
        return array_bytes(self.method.storage, weights) + 4 * (words + given_away) <= self.budget_bytes


def _raised(tiers: list[int], tier: int, room: int, fits: _Fits) -> list[int]:
    """The tiers with as many ids more in this one as fit, up to `room`; they come from the next one if there is one."""

    def with_more(count: int) -> list[int]:
        raised = list(tiers)
        raised[tier] += count
        if tier + 1 < len(raised):
            raised[tier + 1] -= count
        return raised

    low, high = 0, max(0, room)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(with_more(middle)) else (low, middle - 1)
    return with_more(low)


def _between(tensors: Sequence[Tensor], tables: Sequence[TableSizing], tier: str) -> Tensor:
    """What stands for the ids of one tier, of all tables."""
    import torch

    found = []
    for tensor, sized in zip(tensors, tables, strict=True):
        own, fine, coarse = (int(sized.settings[name]) for name in ("own", "fine", "coarse"))
        first = 1 + own if tier == "fine" else 1 + own + fine
        found.append(tensor[first : first + (fine if tier == "fine" else coarse)])
    return torch.cat(found)


def _split(codes: Tensor, tables: Sequence[TableSizing], tier: str) -> Sequence[Tensor]:
    import torch

    return torch.split(codes, [int(t.settings[tier]) for t in tables])


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
