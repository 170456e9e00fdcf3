"""All ids of all fields share one table: an id is the sum of a few hashed rows, times a few hashed numbers.

Paper: MEM-REC, Memory Efficient Recommendation System using Alternative Representation, ACML 2023, arXiv:2305.07205.
    As published it belongs to the model `memrec`, which multiplies the sum of all vectors of a sample by the sum of all
    its numbers. In any other model each field's vector is multiplied by its own number: that form is ours. A 64-bit
    hash takes the place of the public encoder's, which reads 16 bits of an id and an uninitialised secret.
Bytes: D x stored row + 4 per weight, nothing else: (75,000 x 128 + 75,000) x 4 = 38,700,000 as published. The hash is
    the same everywhere; its seed is an option, not a tensor. No vocabulary.
Use when: the model is `memrec`, or ids never stop coming and one table for all of them is wanted.
Did not help when: a few fields are small: here ten countries share rows with ten million users (hash_rows leaves them
    alone). Frequent ids are not protected. On the Criteo sample its weights are worth .0016 in `memrec` at 10x, and
    nothing that five seeds show at 100x and 1000x. `memrec` with it is .0055 to .0108 behind a DLRM with min_count or
    robe in the same bytes there; in DLRM it is .0025 to .0047 behind robe (docs/results.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing.hashes import Hashes
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import stream, uniform_
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Bloom"]

_WEIGHT_STARTS = ("share", "one", "uniform")

# The two groups, as their settings call them: the table of vectors, and the numbers that multiply them.
_TOKENS, _WEIGHTS = "tokens", "weights"
# A number needs no scale of its own: in few bits it would take more bytes than as it is.
_WEIGHT_STORAGE, _WEIGHT_BYTES = "float32", 4


@final
@dataclass(frozen=True, kw_only=True)
class Bloom(Method):
    """Counting Bloom codes of ids over one table, with a weight per id.

    Attributes:
        hashes: rows that are summed per id (the paper's K); one that is drawn twice counts twice.
        weight_hashes: numbers that are summed to an id's weight (the paper's k_w); 0 leaves weights out.
        weight_rows: numbers that weights are drawn from (the paper's d_w); None for as many as there are rows.
        weight_start: what weights start at: ``share``, one divided by the number of fields, so that those of a sample
            add up to one; ``one`` each; ``uniform``, within sqrt(1 / weight_rows) of zero as in the published code,
            where two factors near zero teach each other next to nothing at first.
        hash_seed: of the hashes, 0 or more.
        init: as for every method, of an id's vector before its weight. None means sqrt(1 / rows of the one table).
    """

    name = "bloom"
    traits = Traits(ids=("rank", "plain", "hash63"))

    hashes: int = 1
    weight_hashes: int = 1
    weight_rows: int | None = None
    weight_start: Literal["share", "one", "uniform"] = "share"
    hash_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("hashes", 1), ("weight_hashes", 0), ("weight_rows", 1), ("hash_seed", 0)):
            number = getattr(self, name)
            if number is not None and number < least:
                raise OptionError(f"bloom: {name} must be {least} or more, got {number}.")
        if self.weight_start not in _WEIGHT_STARTS:
            raise OptionError(f"bloom: weight_start is {', '.join(_WEIGHT_STARTS)}, not {self.weight_start!r}.")
        if self.weight_rows is not None and not self.weight_hashes:
            raise OptionError("bloom: without weight_hashes there are no weights, so weight_rows has no meaning.")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        fixed, row_bytes = self._bytes(tables[0].dim)
        return fixed + row_bytes

    def _bytes(self, dim: int) -> tuple[int, int]:
        """Bytes that do not depend on the number of rows, and those of each row with what comes with it."""
        row_bytes = STORAGES.get(self.storage).row_bytes(dim)
        if not self.weight_hashes:
            return 0, row_bytes
        if self.weight_rows is None:
            return 0, row_bytes + _WEIGHT_BYTES
        return self.weight_rows * _WEIGHT_BYTES, row_bytes

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        fixed, row_bytes = self._bytes(tables[0].dim)
        rows = (budget_bytes - fixed) // row_bytes
        if all(t.rows is not None for t in tables):
            rows = min(rows, sum(t.closed_rows for t in tables))  # more would be waste
        # the salt is written down, so that a field keeps its hashes when fields before it come or go
        sized = tuple(
            TableSizing(table=t, ids="plain" if t.ids == "plain" else "hash63", told_apart=0, settings={"salt": salt})
            for salt, t in enumerate(tables)
        )
        return Decision(tables=sized, settings={"part": _TOKENS, "rows": rows})

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        tokens = self.group_sizing(decision.tables, decision.settings, optimizer)
        if not self.weight_hashes:
            return (tokens,), decision.notes
        settings = {"part": _WEIGHTS, "rows": self.weight_rows or decision.settings["rows"]}
        numbers = tuple(replace(t, table=replace(t.table, dim=1)) for t in decision.tables)
        weights = replace(self, storage=_WEIGHT_STORAGE).group_sizing(numbers, settings, optimizer)
        return (tokens, replace(weights, joins="factor")), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        return (Rows(settings["part"], int(settings["rows"]), tables[0].table.dim),)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        part, rows = group.sizing.settings["part"], int(group.sizing.settings["rows"])
        values, published = group.tensor(part).data, math.sqrt(1 / rows)
        if part == _TOKENS:
            half_width = published if self.init is None else self.init
            # a sum of `hashes` rows has the variance of one
            uniform_(values, half_width / math.sqrt(self.hashes), seed=stream(seed, 0))
        elif self.weight_start == "uniform":
            uniform_(values, published, seed=stream(seed, 0))
        else:
            fields = len(group.sizing.tables) if self.weight_start == "share" else 1
            values.fill_(1 / (self.weight_hashes * fields))

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        part, rows = sizing.settings["part"], int(sizing.settings["rows"])
        # rows and weights are drawn independently, so that ids which share the one hardly ever share the other
        count, role = (self.hashes, 0) if part == _TOKENS else (self.weight_hashes, 1)
        addressing = [
            Hashes(start=0, buckets=rows, seed=stream(self.hash_seed, role, int(t.settings["salt"])), count=count)
            for t in sizing.tables
        ]
        return Access(
            regions=(part,), addressing=addressing, width=sizing.tables[0].table.dim, parts=count,
            combine=Combine.copy if count == 1 else Combine.sum,
        )  # fmt: skip


METHOD = Bloom
