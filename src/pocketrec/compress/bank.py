"""Bank: all tables of one model as one module. Ids in, vectors out.

The call is the hot path: one native call per group, never one per table. While training the looked-up vectors are
where the model's graph begins: backward hands their gradient over, :meth:`Bank.collect` turns it into compact pairs,
and :meth:`Bank.step` applies them. So no gradient of a table ever exists, dense or sparse, and clipping, accumulation,
skipped steps and gradient exchange act on the pairs between the two. For people who want a torch optimizer instead,
``bank.gradient = "sparse"`` (or ``"dense"``) gives ordinary gradients.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Mapping, Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from pocketrec.compress.begin_step import begin_step
from pocketrec.compress.group import Form, Group, Pool
from pocketrec.compress.jagged import Bags, KeyedJagged, bags_of, data_rows, offsets_by_column, values_of_bags
from pocketrec.compress.joined import left_over, padding_of_rest
from pocketrec.compress.lookups import Gradient, Lookups
from pocketrec.compress.pairs import Pairs
from pocketrec.compress.tape import Tape, Touched, touched
from pocketrec.compress.units import looked_up, rows_of, shared_bags, units_of
from pocketrec.native.prepared import Prepared
from pocketrec.spec.errors import IdError, NotFinite, OptionError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import WantedIds

__all__ = ["Bank"]


@final
class Bank(nn.Module):
    """All tables of a model.

    Args:
        sizing: the tables, in groups.
        tensors: one mapping per group, tensor by name.
        form: ``train`` or ``serve``.
        padding: padding id by table name; such values are left out of their bag and train nothing.
        fields: for each column, its name and the name of its table; needed only to find the features of a keyed input
            where columns share a table, otherwise columns are called like their tables.

    Attributes:
        gradient: ``pairs`` (default: collect and step), ``sparse`` or ``dense`` (gradients for a torch optimizer).
        steps: int64 scalar tensor, how many steps were made; part of the state.
        units: the groups, each with those that join it.
    """

    steps: Tensor

    def __init__(
        self, sizing: Sizing, tensors: Sequence[Mapping[str, Tensor]], *, form: Form,
        padding: Mapping[str, int] | None = None, fields: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.sizing, self.form, self.padding = sizing, form, dict(padding or {})
        self.fields = _fields(sizing, fields)
        self.gradient: Gradient = "pairs"
        self.groups = nn.ModuleList()
        for group, held in zip(sizing.groups, tensors, strict=True):
            place = {t.table.name: i for i, t in enumerate(group.tables)}
            columns = [c for c, name in enumerate(sizing.order) if name in place]
            names = [sizing.order[c] for c in columns]
            own = [self.padding.get(n, -1) for n in names]
            before = self._group(len(self.groups) - 1) if group.joins != "alone" else None
            self.groups.append(
                Group(
                    group, held, form=form, columns=columns, places=[place[n] for n in names],
                    padding=padding_of_rest(own) if group.joins == "rest" else own,
                )
            )  # fmt: skip
            if before is not None and group.joins == "rest":
                object.__setattr__(before, "rest", self.groups[-1])  # known to it, not a part of it
        found = [c for g in self._groups() if g.sizing.joins == "alone" for c in g.columns]
        self.units = units_of(self._groups())
        self._order = None if found == list(range(len(found))) else torch.tensor(found).argsort()
        self._tapes: list[Tape] = []
        self.pending: dict[int, Pairs] = {}
        self._touched: list[tuple[int, Touched]] = []
        self._norm: tuple[list[Pairs], list[int], float] | None = None
        # data rows, for scales that learn: of lookups since pairs were collected, and of all that is pending
        self._rows_looked_up = self._rows_pending = 0
        self._counts_rows = form == "train" and any(g.learns_scales for g in self._groups())
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64), persistent=form == "train")

    # -- looking up --------------------------------------------------------------------------------------------------

    def forward(
        self, ids: Tensor | KeyedJagged, offsets: Tensor | None = None, weights: Tensor | None = None,
        pool: Pool = "sum",
    ) -> Tensor:  # fmt: skip
        """Vectors of the ids of all tables.

        Args:
            ids: int64 [batch, columns], one id each; or int64 [values] with `offsets`; or, alone, a keyed jagged input
                (torchrec's KeyedJaggedTensor), whose features are found by the names of the bank's fields.
            offsets: int64 [columns x batch + 1]: where each bag begins, all bags of the first column, then of the
                second, and the number of values at the end; or [columns, batch + 1], each column with its own end. An
                empty bag gives zeros.
            weights: float32 [values], factors of a sum, or None.
            pool: how a bag becomes one vector; ``none`` with offsets returns float32 [values, dim].

        Returns:
            float32 [batch, columns, dim] in the order of ``sizing.order``.

        Raises:
            IdError: a plain id at or above the rows of its table. IndexError: a negative id that is not padding.
            UnknownName: a keyed input lacks a field.
        """
        if not isinstance(ids, Tensor):
            ids, offsets, weights = self._unkeyed(ids, offsets, weights)
        if offsets is not None and pool == "none" and offsets.dim() == 2:
            raise OptionError(
                'pool="none" with offsets needs values in the order of the bank\'s columns; look tables up one by one '
                "instead."
            )
        units = self._looked_up(ids, offsets, weights, pool, by_value=True)
        parts = [vectors if factors is None else _times(vectors, factors) for vectors, factors in units]
        if offsets is not None and pool == "none":
            return parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)  # a unit has zeros for others' values
        together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return together if self._order is None else together.index_select(1, self._order)

    def prepared(self) -> Prepared | None:
        """The lookup of all columns without a gradient, ready for the kernels; None where that is not one call."""
        if len(self.groups) != 1 or self._order is not None:
            return None
        group = cast(Group, self.groups[0])
        return group.prepared() if group.is_gathered else None

    def pooled(self, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """One vector per row of the batch, summed over all tables: float32 [batch, dim].

        Where ids have factors, the sum of vectors is multiplied by the sum of factors, as MEM-REC does, over all values
        of the row, bags or not. (:meth:`forward` multiplies each vector by the factor of its own id.)
        """
        units = self._looked_up(ids, offsets, weights, "sum", by_value=False)
        sums = [v.sum(dim=1) if f is None else v.sum(dim=1) * f.sum(dim=1) for v, f in units]
        return sums[0] if len(sums) == 1 else torch.stack(sums).sum(dim=0)

    def rows(self, table: str, start: int, stop: int) -> Tensor:
        """Vectors of the ids start..stop-1 of one table: float32 [stop - start, dim]. For scoring whole catalogues.

        The ids are those of the table's id space in the sizing; a table that takes hashes has no ids to count through
        (look its hashes up instead), and of one that takes ranks and hashes only the ranks can be counted through.
        """
        sized = self.sizing.of(table)
        rows = sized.table.rows
        if sized.ids == "hash63" or rows is None:
            raise OptionError(f"Table {table!r} takes hashed ids; it has no rows {start}..{stop} to go through.")
        if sized.ids == "head" and not 1 <= start <= stop <= sized.told_apart + 1:
            raise IdError(
                f"Rows {start}..{stop} are not within the frequent ids of table {table!r}, 1..{sized.told_apart}; "
                "all others are hashes."
            )
        if not 0 <= start <= stop <= rows:
            raise IdError(f"Rows {start}..{stop} are not within table {table!r} of {rows} rows.")
        with torch.no_grad():
            return rows_of(self.unit_of(table), self._find(table)[1], torch.arange(start, stop))

    def addresses(self, ids: Tensor) -> list[Tensor]:
        """Addresses per group: int64 [batch, columns of the group, parts]. -1 is the null address."""
        found, asked = [], ids
        for group in self._groups():
            asked = asked if group.sizing.joins == "rest" else ids
            found.append(group.addresses(asked))
            if group.rest is not None:
                asked = left_over(asked, None, group.access.hiding(found[-1]), group.columns, group.rest.padding)
        return [a.view(ids.shape[0], len(g.columns), -1) for a, g in zip(found, self._groups(), strict=True)]

    def _unkeyed(self, features: KeyedJagged, offsets: Tensor | None, weights: Tensor | None) -> Bags:
        """The bags of a keyed input, one column per field."""
        if offsets is not None or weights is not None:
            raise OptionError("A keyed input brings its own offsets and weights; give it alone.")
        if self.fields is None:
            raise OptionError(
                f"Columns of this bank share tables ({', '.join(self.sizing.order)}), so their names are needed to "
                "find features: build or attach it with fields={name: table, ...}."
            )
        return bags_of(features, tuple(self.fields))

    def _looked_up(
        self, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool, *, by_value: bool
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Vectors of each unit, and factors that they are still to be multiplied by, see `pocketrec.compress.units`.

        Raises:
            IdError: an id that its table does not have, by the table's name.
        """
        asked, bags, factors = ids, offsets, weights
        if self._counts_rows and self.training and torch.is_grad_enabled():
            self._rows_looked_up = max(self._rows_looked_up, data_rows(ids, offsets, len(self.sizing.order)))
        lookups = Lookups(self._tapes, form=self.form, gradient=self.gradient, learns=self.training)
        if offsets is not None and len(self.units) < len(self.groups):
            asked, bags, factors = shared_bags(ids, offsets, weights)
        found = []
        try:
            for unit in self.units:
                own = bags
                if bags is not None and len(self.units) > 1:
                    own = offsets_by_column(bags, len(self.sizing.order), unit.groups[0].columns)
                together = lookups.together(unit, ids, by_value=by_value) if bags is None else None
                found.append(together or looked_up(unit, lookups.one, asked, own, factors, pool, by_value=by_value))
        except IdError:
            self._name_unknown(ids, offsets)
            raise
        return found

    def _name_unknown(self, ids: Tensor, offsets: Tensor | None) -> None:
        """Refuse an id beyond its table by the table's name; the lookup, which refused it, knows numbers only.

        Raises:
            IdError: names id and table. Nothing is raised where something else was wrong.
        """
        if offsets is None:
            columns = torch.arange(ids.shape[1]).expand_as(ids)
        else:
            place, columns, _ = values_of_bags(offsets, len(self.sizing.order))
            ids = ids[place]
        bad = (ids > torch.tensor(_last_ids(self.sizing))[columns]).nonzero()
        if len(bad):
            at = tuple(bad[0])
            table = self.sizing.of(self.sizing.order[int(columns[at])]).table
            raise IdError(f"Id {int(ids[at])} is not in table {table.name!r} of {table.closed_rows} rows.")

    # -- learning ----------------------------------------------------------------------------------------------------

    def begin_step(self, *, step: int, rows: int, held_out: bool = False) -> None:
        """What is done before a step for those who ask for it, see :func:`pocketrec.compress.begin_step.begin_step`."""
        for group in self._groups():
            begin_step(group, step=step, rows=rows, held_out=held_out)

    def collect(self) -> None:
        """Turn the gradients that backward left into compact pairs, added to those that are pending."""
        for tape in self._tapes:
            grad = tape.grad
            if grad is None:
                continue
            group = self._group(tape.group)
            if tape.learns:
                pairs = _pairs(group, tape, grad)
                before = self.pending.get(tape.group)
                self.pending[tape.group] = pairs if before is None else before.plus(pairs)
            if tape.tells and group.method.traits.adaptive:
                self._touched.append((tape.group, touched(group, tape)))
        if self._counts_rows:  # setting an attribute of a module takes microseconds
            self._rows_pending, self._rows_looked_up = self._rows_pending + self._rows_looked_up, 0
        self._tapes.clear()

    def gradient_norm(self) -> float:
        """L2 norm of all pending gradients together; NaN or inf if one of them is."""
        pairs = list(self.pending.values())
        versions = [p.grads._version for p in pairs]
        if self._norm is not None:  # a step asks twice: whether to clip, and before it changes anything
            of, at, known = self._norm
            if at == versions and len(of) == len(pairs) and all(map(operator.is_, of, pairs)):
                return known
        found = math.sqrt(sum((float(p.squared_norm()) for p in pairs), 0.0))
        self._norm = pairs, versions, found
        return found

    def scale(self, factor: float) -> None:
        """Multiply all pending gradients (clipping, averaging over accumulated batches)."""
        self.pending = {i: pairs.scaled(factor) for i, pairs in self.pending.items()}

    def discard(self) -> None:
        """Forget what backward left and what is pending; nothing changes."""
        self._tapes.clear()
        self.pending.clear()
        self._touched.clear()
        if self._counts_rows:
            self._rows_looked_up = self._rows_pending = 0
        self._norm = None

    def step(self, *, lr: float | None = None) -> None:
        """Apply everything pending with the sizing's optimizer, in one native call per group.

        Args:
            lr: step size, in place of the optimizer's own (a schedule).

        Raises:
            NotFinite: a pending gradient is NaN or infinite. Nothing was changed; the pairs are discarded.
        """
        self.collect()
        if not math.isfinite(self.gradient_norm()):
            self.discard()
            raise NotFinite("A gradient of looked-up rows is NaN or infinite; no row was changed.")
        self.steps += 1
        step, optimizer, batch = int(self.steps), self.sizing.optimizer, max(1, self._rows_pending)
        for index, pairs in self.pending.items():
            # Rounding's random numbers come from (group, step, address) and no state, so a resume goes on with them.
            rate = optimizer.lr if lr is None else lr
            self._group(index).update(pairs, optimizer, lr=rate, step=step, seed=index, batch=batch)
        self._tell(step)
        self.discard()

    def _tell(self, step: int) -> None:
        """Tell adaptive methods what was touched, once per group however often it was looked up."""
        for index in dict.fromkeys(index for index, _ in self._touched):
            all_of = Touched.joined([part for i, part in self._touched if i == index])
            group = self._group(index)
            with torch.no_grad():
                group.method.after_step(
                    group, step=step, ids=all_of.ids, tables=all_of.tables, importance=all_of.importance
                )

    def reset_state(self) -> None:
        """Let the optimizer begin anew: its tensors and the step counter become 0 (a stage that says ``reset``)."""
        with torch.no_grad():
            for group in self._groups():
                for tensor in group.state():
                    tensor.zero_()
            self.steps.zero_()

    def matrices(self, only: Collection[str] | None = None) -> list[nn.Parameter]:
        """Small parameters that train with the dense nets (widening matrices); `only` those of these names."""
        found = []
        for group in self._groups():
            names = [s.name for s in group.specs() if s.role == "matrix" and (only is None or s.name in only)]
            found += [t for t in map(group.tensor, names) if isinstance(t, nn.Parameter)]
        return found

    # -- what is held ------------------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its name in the layout ("0.rows"), sharing memory; the step counter too while training."""
        found = {f"{i}.{name}": t for i, group in enumerate(self._groups()) for name, t in group.tensors().items()}
        if self.form == "train":
            found["steps"] = self.steps
        return found

    def held_bytes(self) -> int:
        """Bytes of the tensors that the layout names, memory shared between them counted once."""
        seen = {}
        for group in self._groups():
            for tensor in map(group.tensor, (spec.name for spec in group.specs())):
                # on meta nothing has an address; the modules keep the tensors alive, so their ids differ
                owner = id(tensor) if tensor.device.type == "meta" else tensor.untyped_storage().data_ptr()
                seen[owner, tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return sum(seen.values())

    def id_spaces(self) -> tuple[WantedIds, ...]:
        """The ids that each column must hold, in the order of the columns."""
        return self.sizing.wanted

    def group_of(self, table: str) -> Group:
        """The group that holds this table; the first one, where others join it."""
        return self._find(table)[0]

    def unit_of(self, table: str) -> tuple[Group, ...]:
        """The group that holds this table and those that join it; the table has the same place in all of them."""
        first = self.group_of(table)
        return next(unit.groups for unit in self.units if unit.groups[0] is first)

    def _find(self, table: str) -> tuple[Group, int]:
        for group in self._groups():
            for place, sized in enumerate(group.sizing.tables):
                if sized.table.name == table:
                    return group, place
        raise OptionError(f"No table called {table!r} in this bank. Tables: {', '.join(self.sizing.order)}.")

    def _group(self, index: int) -> Group:
        return cast(Group, self.groups[index])

    def _groups(self) -> Collection[Group]:
        found = self.groups._modules.values()  # going through a ModuleList costs as much as a lookup
        return cast("Collection[Group]", found)


def _pairs(group: Group, tape: Tape, grad: Tensor) -> Pairs:
    if tape.at_addresses:
        return group.compact_rows(grad, tape.ids)
    return group.compact(grad, tape.ids, tape.offsets, tape.weights, tape.pool, tape.addresses, tape.program)


def _times(vectors: Tensor, factors: Tensor) -> Tensor:
    """Their product; in place where nobody learns, for the vectors were made for this call."""
    return vectors * factors if torch.is_grad_enabled() else vectors.mul_(factors)


def _last_ids(sizing: Sizing) -> list[int]:
    """The last id that each column takes: the last int64 where ids are not the user's own."""
    tables = [sizing.of(name).table for name in sizing.order]
    return [table.closed_rows - 1 if table.ids == "plain" else 2**63 - 1 for table in tables]


def _fields(sizing: Sizing, fields: Mapping[str, str] | None) -> dict[str, str] | None:
    """Name and table of each column, or None where columns share a table and nobody told their names."""
    if fields is None:
        names = {name: name for name in sizing.order}
        return names if len(names) == len(sizing.order) else None
    if tuple(fields.values()) != sizing.order:
        raise OptionError(f"Fields {dict(fields)} do not fit the columns' tables {', '.join(sizing.order)}.")
    return dict(fields)
