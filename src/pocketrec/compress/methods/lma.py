"""Let ids that occur in the same rows share weights of one array: a block lies where what they have in common says.

Paper: Desai et al., Semantically Constrained Memory Allocation (LMA), arXiv:2103.06124. An id's value set is the
    sampled rows that hold it; least hashes of it choose its places, so that two ids share a place with the probability
    of their sets' Jaccard similarity. Block 1 and signature="sets" are the paper's; blocks, and signatures of a few
    bits per key, are in its authors' kernel. Ids without a set, rare and unknown ones, are hashed one by one, as robe
    does it. Not of the paper: sets of users, or of what an id occurs with (`unit`). Where a field has one value per
    row, two of its values never occur in one row, so the paper's sets let ids share across fields only; these let them
    share within one, and only there: their hashes are salted by table. Nor is it of the paper that the most frequent
    ids may own their weights (`own`): they have rows enough to learn from, and lose by sharing.
Bytes: the budget, to within one weight, + 8 for the seed. A part of it (`share`) holds signatures, 8 bytes x words for
    each of the most frequent ids that own no weights; the rest is the array. All these ids need a vocabulary.
Use when: ids of one field that keep the same company do the same, and one knows it: then `unit` "context" is .004 ahead
    of robe with the same array of 1/100 of the tables, and with `own` of .1 also at 1/16 by .003 (a synthetic log made
    so). On KuaiRand at 1/100 it is .006 ahead of robe with the same array, the paper's likeness .002 (docs/results.md).
Did not help when: the bytes of the signatures count: robe in as many bytes in all, without a vocabulary, is ahead on
    the same log (.7336 against .7325), and by .020 on KuaiRand. The paper's likeness, `unit` "row", is .005 to .006
    behind robe on that log, for it does not see two values of one field. On the Criteo sample every form is behind robe
    with the same array, by .0005 to .0022 (in as many bytes .0008 to .0040): likeness says little of clicks there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.block import Block
from pocketrec.compress.addressing.signature import Sets, Signature
from pocketrec.compress.holdings import Array, Fixed, Holding
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import stream
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.compress.parts.shared_array import array_bytes, uniform_array, weights_within
from pocketrec.compress.parts.signatures import words_per_id
from pocketrec.compress.share import most_frequent
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Lma"]

_WORD_BYTES, _MOST_BITS = 8, 32
_MOST_PICKS, _PICKED_BITS = 8, 62  # keys that the place of a block is drawn of, and bits of them in one word


@final
@dataclass(frozen=True, kw_only=True)
class Lma(Method):
    """A shared array of weights, in which alike ids have blocks in common.

    Attributes:
        block: weights per block, 1 or more; at most the tables' dim is used. 1 is the paper's.
        power: least hashes that must agree for a block to be shared (the paper's k).
        signature: ``keys``, a few bits per block and id; or ``sets``: the value sets are kept, and least hashes found
            anew at each look-up (exact, slow).
        words: int64 words per id of a signature, 1 or more; None: as many as give each block a key of 16 bits.
        keys: keys per id; None: one per block. The published kernel has 15 (with bits 4 and picks 8).
        bits: per key, up to 32; None: as many as fit.
        picks: keys of which the place of one block is drawn, up to 8.
        share: of the budget, at most, for signatures or sets, in 0..1.
        own: of the array's weights, at most, those that the most frequent ids own, in 0..1; 0 is the paper's.
        min_support: members of the smallest set that counts; ids with fewer are hashed.
        members: of a kept set (``sets``), at most; those of the least hashes.
        unit: what sets are of: ``row`` (the paper), ``user``, or ``context``, the ids that an id occurs with.
        context: fields whose ids count as context; () for all others of the row.
        lift: ids of the context that an id meets less than so many times as often as chance would have it do not count;
            0 or more, None as `pocketrec.data.value_sets` has it (3 for all fields, 0 for named ones).
        rows: sampled for the sets.
        sign: read every weight with a random sign.
    """

    name = "lma"
    traits = Traits(ids=("rank", "plain", "hash63"), needs_counts=True, needs_value_sets=True)

    block: int = 4
    power: int = 1
    signature: Literal["keys", "sets"] = "keys"
    words: int | None = None
    keys: int | None = None
    bits: int | None = None
    picks: int = 1
    share: float = 0.25
    own: float = 0.0
    min_support: int = 2
    members: int = 64
    unit: Literal["row", "user", "context"] = "row"
    context: tuple[str, ...] = ()
    lift: float | None = None
    rows: int = 125_000
    sign: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "context", tuple(self.context))  # JSON has lists only
        for name in ("block", "power", "words", "keys", "bits", "picks", "min_support", "members", "rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"lma: {name} must be 1 or more, got {value}.")
        for name, most in (("bits", _MOST_BITS), ("picks", _MOST_PICKS)):
            if (getattr(self, name) or 1) > most:
                raise OptionError(f"lma: {name} must be at most {most}, got {getattr(self, name)}.")
        if self.signature not in ("keys", "sets"):
            raise OptionError(f"lma: signature is keys or sets, got {self.signature!r}.")
        if self.unit not in ("row", "user", "context"):
            raise OptionError(f"lma: unit is row, user or context, got {self.unit!r}.")
        if not 0 <= self.share < 1:
            raise OptionError(f"lma: share must lie in 0..1 and leave room for the array, got {self.share}.")
        if self.lift is not None and not 0 <= self.lift < float("inf"):
            raise OptionError(f"lma: lift must be 0 or more, got {self.lift}.")
        if not 0 <= self.own <= 1:
            raise OptionError(f"lma: own must lie in 0..1, got {self.own}.")

    def value_sets(self) -> Mapping[str, Any]:
        options: dict[str, Any] = {"rows": self.rows, "unit": self.unit}
        if self.unit == "context":
            options |= {"context": self.context or None, "least_lift": self.lift}
        if self.signature == "sets":
            options["most_members"] = self.members
        return options

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return SEED.nbytes + array_bytes(self.storage, self._block(tables[0].dim))

    def _block(self, dim: int) -> int:
        return min(self.block, dim)

    def _keys(self, dim: int) -> tuple[int, int, int]:
        """Keys per id, bits per key, words per id."""
        keys = self.keys or -(-dim // self._block(dim))
        bits = self.bits or min(_MOST_BITS, 64 // -(-keys // (self.words or -(-keys // 4))))
        words = words_per_id(keys, bits)
        if self.words not in (None, words):
            raise OptionError(f"lma: {keys} keys of {bits} bits take {words} words, not {self.words}; leave words out.")
        if self.picks > 1 and self.picks * bits > _PICKED_BITS:
            raise OptionError(
                f"lma: {self.picks} picks of {bits} bits are {self.picks * bits} bits in all, at most {_PICKED_BITS} "
                "can be drawn together; choose fewer bits or picks."
            )
        return keys, bits, words

    def _per_id(self, dim: int) -> int:
        """Bytes of an id's signature; of its set with as many members as it may have."""
        return _WORD_BYTES * self._keys(dim)[2] if self.signature == "keys" else 4 * (1 + self.members)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        dim, spare = tables[0].dim, budget_bytes - SEED.nbytes
        block, width = self._block(dim), self._width(dim)
        ends = 0 if self.signature == "keys" else 4 * len(tables)  # of the last set of each table
        count = min(int(spare * self.share), spare - array_bytes(self.storage, block) - ends)
        count = max(0, count) // self._per_id(dim)
        weights = weights_within(self.storage, spare - count * self._per_id(dim) - ends, tables)
        known = [stats.get(t.name, TableStats(table=t.name, histogram=())) for t in tables]
        most = [0 if t.ids == "hash63" else t.closed_rows - 1 for t in tables]
        owners = [n if t.ids == "rank" else 0 for t, n in zip(tables, most, strict=True)]  # ids 1 on must be frequent
        own, _ = most_frequent(owners, known, max(0, min(int(weights * self.own), weights - block)) // width)
        others = [s.behind(n) for s, n in zip(known, own, strict=True)]
        signed, _ = most_frequent([m - n for m, n in zip(most, own, strict=True)], others, count)
        sized = tuple(_sized(*each) for each in zip(tables, own, signed, strict=True))
        numbers = self._numbers(sized, dim)
        held = numbers * (_WORD_BYTES if self.signature == "keys" else 4)
        weights = weights_within(self.storage, spare - held, tables)
        return Decision(tables=sized, settings={"weights": weights, "block": block, "signatures": numbers})

    def _width(self, dim: int) -> int:
        """Weights that an id owns: whole blocks."""
        return -(-dim // self._block(dim)) * self._block(dim)

    def _numbers(self, tables: Sequence[TableSizing], dim: int) -> int:
        """Numbers that all signatures or sets are kept in."""
        ids: int = sum(int(t.settings["ids"]) for t in tables)
        if self.signature == "keys":
            return ids * self._keys(dim)[2]
        return ids * (1 + self.members) + sum(int(t.settings["ids"]) > 0 for t in tables)

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        dtype = "int64" if self.signature == "keys" else "int32"
        return (
            Array("array", int(settings["weights"])),
            Fixed("signatures", (int(settings["signatures"]),), dtype),
            SEED.holding,
        )

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        from pocketrec.compress.parts.signatures import compact_signatures, packed_sets

        write_seed(group, seed)
        uniform_array(group, "array", self.init, seed=seed)
        sets, signed = (data or {}).get("value_sets"), any(t.settings["ids"] for t in group.sizing.tables)
        if sets is None and signed:
            raise OptionError(
                'lma needs value sets: build(sizing, seed=..., data={"value_sets": {table: sets}}), where sets has '
                "values, starts and members (pocketrec.data.value_sets makes them). Runs of `pocketrec train` do it."
            )
        keys, bits, _ = self._keys(group.dim)
        for index, (sized, part) in enumerate(zip(group.sizing.tables, self._parts(group), strict=True)):
            ids, own, of = int(sized.settings["ids"]), int(sized.settings["own"]), (sets or {}).get(sized.table.name)
            part.zero_()  # no signature, an empty set
            if not ids or of is None:
                continue
            of = of.supported(self.min_support)
            known = of.values > own  # id 0 is all that is unknown; then come those that own weights
            first = int((~known).sum())
            values, starts = of.values[known] - (own + 1), of.starts[first:]
            if self.signature == "keys":
                made = compact_signatures(
                    values, starts, of.members, ids=ids, keys=keys, bits=bits, power=self.power,
                    seed=self._seed_of_hashes(seed, index),
                ).reshape(-1)  # fmt: skip
            else:
                made = packed_sets(values, starts, of.members, ids=ids)
            part[: made.numel()] = made

    def _parts(self, group: Group) -> list[Tensor]:
        """Views of what is kept of each table's ids."""
        import torch  # here, not above: sizing answers without it

        tables = group.sizing.tables
        return list(torch.split(group.tensor("signatures").data, [self._numbers([t], group.dim) for t in tables]))

    def _seed_of_hashes(self, seed: int, table: int) -> int:
        """Of sampled rows the same for all tables, so that ids of two of them share places, too.

        Ids of two tables that are met by the same users, or in the same company, need not mean alike for all that.
        """
        return stream(seed, 1) if self.unit == "row" else stream(seed, 1, table)

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        seed, dim = read_seed(tensors), sizing.tables[0].table.dim
        keys, bits, _ = self._keys(dim)
        addressing: list[Addressing] = []
        place, start, width = 0, 0, self._width(dim)
        shared = width * sum(int(t.settings["own"]) for t in sizing.tables)
        for index, sized in enumerate(sizing.tables):
            ids, own = int(sized.settings["ids"]), int(sized.settings["own"])
            block = Block(
                weights=int(sizing.settings["weights"]) - shared, block=self._block(dim), seed=stream(seed, 2, index),
                sign=self.sign, start=shared, own=own, own_start=start, own_width=width,
            )  # fmt: skip
            if self.signature == "keys":
                addressing.append(Signature(block=block, ids=ids, place=place, keys=keys, bits=bits, picks=self.picks))
            else:
                hashes = self._seed_of_hashes(seed, index)
                addressing.append(Sets(block=block, ids=ids, place=place, power=self.power, seed=hashes))
            place, start = place + self._numbers([sized], dim), start + own * width
        return Access(
            regions=("array",), addressing=addressing, width=dim, parts=-(-dim // self._block(dim)),
            combine=Combine.concat, maps="signatures",
        )  # fmt: skip


def _sized(table: TableSpec, own: int, signed: int) -> TableSizing:
    """A table of which so many ids own weights, and so many more have a signature; all others are hashed."""
    settings = {"own": own, "ids": signed}
    if table.ids == "rank":
        kept = own + signed
        return TableSizing(table=table, ids="head" if kept else "hash63", told_apart=kept, settings=settings)
    return TableSizing(table=table, ids=table.ids, told_apart=0, settings=settings)


METHOD = Lma
