"""Train all rows, keep one of every few alike pages of rows, and train what is kept once more: two stages.

Paper: Zhou, Chen, Das, Min, Yu, Zhao, Zou, Serving Deep Learning Models with Deduplication from Relational Databases,
    VLDB 2022, arXiv:2201.10442, as the VLDB 2024 benchmark runs it (Zhang et al., arXiv:2311.15578). What the paper
    calls a block is a page here. All tables are cut as one, in their order, so a page may hold rows of two tables.
Bytes: pages kept x rows of a page x stored row + 4 per page for the map; the last page counts in full. Training holds
    all rows in the first stage, and what is served in the second.
Use when: memory for training is there, serving must be small, and ids that stand together (in order of frequency, or of
    a catalogue) have rows that hardly moved: such pages are all alike. Or a dense model is there (from_dense).
Did not help when: measured: at every budget of the Criteo sample .012 to .024 of AUC behind full tables, of Frappe .013
    to .15, of KuaiRand .028 to .033 (docs/which_method.md); at 2x of Criteo its pages are best left as they are found,
    for training them again only overfits. A page is all or nothing, so frequent ids keep their rows only where whole
    pages of them differ from all others; with few pages left, ids share rows by their number modulo the rows of a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.paged import Paged
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Fixed, Holding, Rows, Scratch
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.row_tables import starts, total_rows, uniform_rows
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stage import Stage
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group
    from pocketrec.compress.parts.similar_pages import SharedPages

__all__ = ["METHOD", "Dedup"]

_ENTRY_BYTES: Final = 4

# Pages that are compared with one another, and pages that are kept, if the budget allows it: at worst the search
# compares all pairs. The benchmark has 3,380 pages of Criteo and keeps 338, 34 or 3 of them.
_MOST_PAGES: Final = 1024
_WANTED: Final = 64
# The map takes at most this share of the budget, unless no page could be kept then.
_MAP_SHARE: Final = 8


@final
@dataclass(frozen=True, kw_only=True)
class Dedup(Method):
    """Shared pages of rows.

    Attributes:
        page_rows: rows of a page (10,000 in the benchmark); None takes the longest of which 64 are kept, or as many as
            a map of at most an eighth of the budget lets be kept. Many short pages take long to be compared: at worst
            the search reads all rows once for every two pages.
        fp: two numbers are the same where they differ by at most so much. Where too few pages are alike for the budget,
            it is doubled, and `lsh_width` with it, until enough are; the benchmark stops above its budget.
        sim: the least share of numbers of two pages that must be the same.
        lsh_width: of a bucket of the hash by which pages are found that are compared.
        lsh_bands: hashes per page.
        lsh_collisions: in how many of them two pages must share a bucket, 1 or more.
        whole_epochs: length of the first stage.
    """

    name = "dedup"
    traits = Traits(staged=True, from_dense=True)

    page_rows: int | None = None
    fp: float = 0.01
    sim: float = 0.7
    lsh_width: float = 0.09
    lsh_bands: int = 90
    lsh_collisions: int = 1
    whole_epochs: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("page_rows", self.page_rows is None or 1 <= self.page_rows < 1 << 31, "lie in 1..2147483647")
        self.require("fp", 0 < self.fp < float("inf"), "be above 0")
        self.require("sim", 0 <= self.sim <= 1, "lie in 0..1")
        self.require("lsh_width", 0 < self.lsh_width < float("inf"), "be above 0")
        self.require("lsh_bands", self.lsh_bands >= 1, "be 1 or more")
        self.require("lsh_collisions", 1 <= self.lsh_collisions <= self.lsh_bands, "lie in 1..lsh_bands")
        self.require("whole_epochs", self.whole_epochs >= 1, "be 1 or more")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        rows, row_bytes = sum(t.closed_rows for t in tables), STORAGES.get(self.storage).row_bytes(tables[0].dim)
        if self.page_rows is not None:
            return _bytes(rows, row_bytes, min(self.page_rows, rows), 1)
        # The bytes of one page and the map are least near sqrt(4 rows / row_bytes) rows; at twice that, they are above
        # what they are there.
        near = isqrt(_ENTRY_BYTES * rows // row_bytes) + 1
        return min(_bytes(rows, row_bytes, length, 1) for length in range(1, min(2 * near, rows) + 1))

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        rows, row_bytes = sum(t.closed_rows for t in tables), STORAGES.get(self.storage).row_bytes(tables[0].dim)
        length = min(self.page_rows or _page_rows(rows, row_bytes, budget_bytes), rows)
        pages = -(-rows // length)
        kept = min(pages, (budget_bytes - _ENTRY_BYTES * pages) // (length * row_bytes))
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": t.closed_rows},
            )
            for t in tables
        )  # fmt: skip
        note = f"{pages} pages of {length} rows, of which {kept} are kept."
        return Decision(tables=sized, settings={"page_rows": length, "pages": pages, "kept": kept}, notes=(note,))

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        dim = tables[0].table.dim
        if settings.get("whole"):
            return (Rows("rows", total_rows(tables), dim),)
        return (
            Rows("rows", int(settings["kept"]) * int(settings["page_rows"]), dim),
            Fixed("map", (int(settings["pages"]),), "int32"),
            Scratch("doublings", (1,), "int32"),  # of the thresholds, so that whoever asks can see it
        )

    # -- stages ------------------------------------------------------------------------------------------------------

    def stages(self, sizing: GroupSizing, optimizer: OptimizerSpec) -> tuple[tuple[Stage, GroupSizing], ...]:
        whole = self.group_sizing(sizing.tables, {**sizing.settings, "whole": True}, optimizer)
        whole = replace(whole, serve=sizing.serve)  # what it will be frozen to, whenever that is
        return (
            (Stage(name="whole", epochs=self.whole_epochs), whole),
            (Stage(name="shared", optimizer="keep", judged_first=True), sizing),
        )

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        import torch  # here, not above: sizing answers without it

        if group.sizing.settings.get("whole"):
            uniform_rows(group, "rows", self.init, seed=seed)
            return
        # without a first stage nothing says which pages are alike: they share in turn
        widest = min(bound(t.table, self.init) for t in group.sizing.tables)
        uniform_(group.tensor("rows").data, widest, seed=stream(seed, 0))
        pages = group.tensor("map").data
        pages.copy_(torch.arange(len(pages)) % int(group.sizing.settings["kept"]))

    def warm(self, group: Group, previous: Group) -> None:
        _check_same_rows(group, previous)
        now, before = group.sizing.settings, previous.sizing.settings
        if not now.get("whole") and before.get("whole"):
            self._share(group, previous)
        elif now.get("whole") and not before.get("whole"):
            _unshare(group, previous)
        elif not now.get("whole") and now != before:
            raise OptionError(
                f"dedup: pages were {dict(before)} and are now {dict(now)}; which row is whose changes with them. "
                "Keep the sizing of the model that you continue, or begin with its first stage."
            )
        else:
            super().warm(group, previous)

    def _share(self, group: Group, previous: Group) -> None:
        """Keep pages of the whole tables, with the optimizer's state of their rows."""
        from pocketrec.compress.in_float32 import float32_weights
        from pocketrec.compress.parts.similar_pages import take_pages

        found = self._found(float32_weights(previous, "rows"), group.sizing.settings)
        for name in ("rows", *(s.name for s in group.sizing.state)):
            taken = take_pages(previous.tensor(name).detach(), found.kept, int(group.sizing.settings["page_rows"]))
            group.tensor(name).data.copy_(taken)
        _write(group, found)

    def _found(self, rows: Tensor, settings: Mapping[str, Any]) -> SharedPages:
        from pocketrec.compress.parts.similar_pages import Alike, find_shared_pages

        alike = Alike(
            fp=self.fp, sim=self.sim, width=self.lsh_width, bands=self.lsh_bands, collisions=self.lsh_collisions
        )
        return find_shared_pages(rows, int(settings["page_rows"]), int(settings["kept"]), alike)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        import torch

        from pocketrec.compress.parts.similar_pages import take_pages

        settings = group.sizing.settings
        rows = torch.cat([weights[t.table.name][: t.table.closed_rows] for t in group.sizing.tables])
        if settings.get("whole"):
            group.tensor("rows").data.copy_(rows)
            return
        found = self._found(rows, settings)
        group.tensor("rows").data.copy_(take_pages(rows, found.kept, int(settings["page_rows"])))
        _write(group, found)

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        if not group.sizing.settings.get("whole"):
            return super().frozen(group)
        from pocketrec.compress.freeze import encoded
        from pocketrec.compress.in_float32 import float32_weights
        from pocketrec.compress.parts.similar_pages import take_pages

        settings = {name: value for name, value in group.sizing.settings.items() if name != "whole"}
        found = self._found(float32_weights(group, "rows"), settings)
        taken = take_pages(group.tensor("rows").detach(), found.kept, int(settings["page_rows"]))
        made = {"rows": taken}
        if "rows.step" in group.tensors():  # a storage whose steps learn
            made["rows.step"] = take_pages(group.tensor("rows.step"), found.kept, int(settings["page_rows"]))
        return replace(group.sizing, settings=settings), {**encoded(group, made), "map": found.map}

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        sizes, dim = [int(t.settings["rows"]) for t in sizing.tables], sizing.tables[0].table.dim
        given, addressing = list(zip(starts(sizing.tables), sizes, strict=True)), list[Addressing]()
        if sizing.settings.get("whole"):
            addressing += [Row(start=s, rows=n) for s, n in given]
            return Access(regions=("rows",), addressing=addressing, width=dim)
        length = int(sizing.settings["page_rows"])
        addressing += [Paged(start=0, ids=n, page_rows=length, first=s) for s, n in given]
        return Access(regions=("rows",), addressing=addressing, width=dim, maps="map")


def _bytes(rows: int, row_bytes: int, length: int, kept: int) -> int:
    """Of so many kept pages of this length, and of the map."""
    return kept * length * row_bytes + _ENTRY_BYTES * -(-rows // length)


def _page_rows(rows: int, row_bytes: int, budget_bytes: int) -> int:
    """The rows of a page where the option says nothing; the budget is at least the floor."""
    wanted = _WANTED
    while wanted > 1:
        length = _longest(rows, row_bytes, budget_bytes, wanted)
        pages = -(-rows // length) if length else 0
        if 0 < pages <= _MOST_PAGES and _MAP_SHARE * _ENTRY_BYTES * pages <= budget_bytes:
            return length
        wanted //= 2
    return _longest(rows, row_bytes, budget_bytes, 1)


def _longest(rows: int, row_bytes: int, budget_bytes: int, kept: int) -> int:
    """The most rows of a page, at most all, of which so many are kept within the budget; 0 where none are."""
    # kept * row_bytes * length + 4 rows / length <= budget, a quadratic inequality; the map's last entry comes on top.
    inside = budget_bytes * budget_bytes - 4 * kept * row_bytes * _ENTRY_BYTES * rows
    if inside < 0:
        return 0
    length = min(rows, (budget_bytes + isqrt(inside)) // (2 * kept * row_bytes) + 1)
    while length and _bytes(rows, row_bytes, length, kept) > budget_bytes:
        length -= 1
    return length


def _write(group: Group, found: SharedPages) -> None:
    group.tensor("map").data.copy_(found.map)
    group.tensor("doublings").data.fill_(found.doublings)


def _unshare(group: Group, previous: Group) -> None:
    """Give every row of the whole tables what stood for it, with the optimizer's state."""
    import torch

    length, pages = int(previous.sizing.settings["page_rows"]), previous.tensor("map").detach().long()
    places = torch.arange(total_rows(group.sizing.tables))
    places = pages[places // length] * length + places % length
    for name in ("rows", *(s.name for s in group.sizing.state)):
        group.tensor(name).data.copy_(previous.tensor(name).detach()[places])


def _check_same_rows(group: Group, previous: Group) -> None:
    old, new = ([int(t.settings["rows"]) for t in g.sizing.tables] for g in (previous, group))
    if old != new:
        raise OptionError(
            f"dedup: rows per table were {old} and are now {new}; which row is whose changes with them. "
            "Keep the sizing of the model that you continue."
        )


METHOD = Dedup
