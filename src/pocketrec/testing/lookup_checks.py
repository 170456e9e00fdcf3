"""Checks of what a bank returns: the same id the same vector, however it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pocketrec.compress import Bank, build
from pocketrec.compress.group import Pool
from pocketrec.compress.method import of
from pocketrec.spec.errors import IdError, OptionError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import Cases, groups_of, pools, random_batch, refusal
from pocketrec.testing.materialise import dense_tables

__all__ = ["LookupChecks"]

# Where floats stop counting by one, and where int32 ends.
_FAR_IDS = (2**31 - 1, 2**31, 2**32 + 5, 2**53, 2**53 + 1, 2**62, 2**63 - 1)


class LookupChecks(Cases):
    """Nothing is trained here."""

    def test_lookups_equal_dense_tables(self, variant: Mapping[str, Any], space: IdSpace, trained: str) -> None:
        sizing = self.sized(variant, space, storage=trained)
        bank, batch = self.bank(sizing, steps=1), random_batch(sizing, 1)
        vectors = bank(batch.ids)
        assert vectors.shape == (*batch.ids.shape, sizing.groups[0].tables[0].table.dim)
        assert vectors.dtype == torch.float32
        for column, table in enumerate(dense_tables(bank)):
            torch.testing.assert_close(vectors[:, column], table[batch.positions[:, column]])

    def test_an_id_has_one_vector(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        bank, ids = self.bank(sizing).eval(), random_batch(sizing, 2, rows=24).ids
        with torch.no_grad():
            whole = bank(ids)
            order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
            assert self.same(bank(ids[order]), whole[order])
            assert self.same(torch.cat([bank(part) for part in torch.split(ids, 7)]), whole)
            assert self.same(bank(ids.repeat(2, 1)), torch.cat([whole, whole]))
            assert bank(ids[:0]).shape == (0, *whole.shape[1:])
            if all(group.joins != "factor" for group in sizing.groups):  # whose sum is multiplied with
                torch.testing.assert_close(bank.pooled(ids), whole.sum(dim=1))

    def test_bags_equal_the_loop_over_their_ids(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        bank, padding = self.bank(sizing).eval(), {"t0": int(pools(sizing)[0][3])}
        padded = self.bank(sizing, padding=padding).eval()
        ids, offsets, weights = _bags(sizing)
        with torch.no_grad():
            single = [_single(bank, column, bag) for column, bag in _each_bag(ids, offsets, len(sizing.order))]
            for pool in _pools_of(bank):
                expected = torch.stack([_pooled(vectors, pool) for vectors in single])
                torch.testing.assert_close(_flat(bank(ids, offsets, None, pool)), expected)
            factors = [w[:, None] for w in torch.split(weights, offsets.diff().tolist())]
            expected = torch.stack([(v * w).sum(0) for v, w in zip(single, factors, strict=True)])
            torch.testing.assert_close(_flat(bank(ids, offsets, weights)), expected)
            torch.testing.assert_close(bank(ids, offsets, None, "none"), torch.cat(single))
            if "max" not in _pools_of(bank):
                refusal(OptionError, partial(bank, ids, offsets, None, "max"), "max")
            kept = [
                v[bag != padding["t0"]] if column == 0 else v
                for v, (column, bag) in zip(single, _each_bag(ids, offsets, len(sizing.order)), strict=True)
            ]
            for pool in _pools_of(bank):
                expected = torch.stack([_pooled(vectors, pool) for vectors in kept])
                torch.testing.assert_close(_flat(padded(ids, offsets, None, pool)), expected)

    def test_padding_reads_zeros(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        ids = random_batch(sizing, 3).ids
        bank = self.bank(sizing, padding={"t1": int(ids[4, 1])})
        with torch.no_grad():
            vectors, plain = bank(ids), self.bank(sizing)(ids)
        is_padding = ids[:, 1] == ids[4, 1]
        assert is_padding.any()
        assert not vectors[is_padding, 1].any()
        plain[is_padding, 1] = 0
        assert self.same(vectors, plain)

    def test_ids_beyond_the_rows(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        bank, columns = self.bank(sizing).eval(), len(sizing.order)
        rows = torch.tensor([sizing.of(name).table.closed_rows for name in sizing.order])
        edges = [torch.zeros_like(rows), rows - 1, rows, rows + 1, *(torch.full_like(rows, n) for n in _FAR_IDS)]
        with torch.no_grad():
            if space == "plain":
                assert torch.isfinite(bank(torch.stack(edges[:2]))).all()
                for beyond in edges[2:]:
                    refusal(IdError, partial(bank, beyond[None]))
                return
            found = bank(torch.stack(edges))
            assert torch.isfinite(found).all()
            folds = torch.tensor([sizing.of(name).ids == "rank" for name in sizing.order])
            unknown = found[:1].expand(len(edges) - 2, columns, -1)
            assert self.same(found[2:, folds], unknown[:, folds]), "a rank at or beyond the rows reads id 0"

    def test_large_ids_keep_all_their_bits(self, variant: Mapping[str, Any]) -> None:
        if "hash63" not in self.spaces(variant):
            return
        bank = build(
            of(self.method.name, variant).size([TableSpec(name="t", rows=None, dim=8, ids="hash63")], 64 * 1024), seed=0
        ).eval()
        near = torch.arange(200)[:, None] * 1000
        for far in (2**31, 2**40, 2**53, 2**62):
            for step in (1, 2**32):
                with torch.no_grad():
                    same = (bank(far + near)[:, 0] == bank(far + near + step)[:, 0]).all(dim=1)
                assert same.sum() <= 10, f"{int(same.sum())} of 200 ids near {far} read what id + {step} reads"

    def test_negative_ids_are_refused(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        ids = random_batch(sizing, 4).ids
        ids[3, 2] = -1
        refusal(IndexError, lambda: self.bank(sizing)(ids))

    def test_rows_go_through_a_table(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        bank = self.bank(sizing)
        for column, name in enumerate(sizing.order):
            sized = sizing.of(name)
            if sized.ids == "hash63":
                refusal(OptionError, partial(bank.rows, name, 0, 1))
                continue
            if sized.ids == "head":  # ranks are counted through, hashes are not
                ranks = torch.arange(1, sized.told_apart + 1)
                at = (pools(sizing)[column] == ranks[:, None]).int().argmax(dim=1)
                torch.testing.assert_close(bank.rows(name, 1, len(ranks) + 1), dense_tables(bank)[column][at])
                for start, stop in ((0, 1), (1, len(ranks) + 2)):
                    refusal(IdError, partial(bank.rows, name, start, stop))
                continue
            rows = sized.table.closed_rows
            found = torch.cat([bank.rows(name, 0, rows // 2), bank.rows(name, rows // 2, rows)])
            torch.testing.assert_close(found, dense_tables(bank)[column])
            refusal(IdError, partial(bank.rows, name, 0, rows + 1))

    def test_addresses_stay_inside(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        last = torch.stack([pool[-1] for pool in pools(sizing)])
        bank, ids = self.bank(sizing), torch.cat([random_batch(sizing, 5).ids, last[None]])
        for group, addresses in zip(groups_of(bank), bank.addresses(ids), strict=True):
            units = sum(region.numel() for region in group.regions()) // max(1, group.unit)
            assert addresses.shape[:2] == (len(ids), len(group.columns))
            assert -1 <= int(addresses.min()) <= int(addresses.max()) < max(units, 0 if group.access.regions else 1)


def _bags(sizing: Sizing) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, offsets and weights of three bags per column, key-major: empty, of one id, of many with duplicates."""
    draw = torch.Generator().manual_seed(8)
    bags = []
    for pool in pools(sizing):
        some = pool[torch.randint(len(pool), (4,), generator=draw)]
        bags += [pool[:0], pool[-1:], torch.cat([some, pool[:4], some[:1]])]
    lengths = torch.tensor([0, *(len(bag) for bag in bags)])
    ids = torch.cat(bags)
    return ids, lengths.cumsum(0), torch.randn(len(ids), generator=draw)


def _each_bag(ids: Tensor, offsets: Tensor, columns: int) -> list[tuple[int, Tensor]]:
    """Column and ids of every bag."""
    bags = torch.split(ids, offsets.diff().tolist())
    return [(number // (len(bags) // columns), bag) for number, bag in enumerate(bags)]


def _single(bank: Bank, column: int, ids: Tensor) -> Tensor:
    """Vectors of ids of one column, one by one: float32 [ids, dim]. The other columns read an id that is there."""
    grid = torch.stack([pool[0].expand(len(ids)) for pool in pools(bank.sizing)], dim=1)
    grid[:, column] = ids
    found: Tensor = bank(grid)[:, column]
    return found


def _pools_of(bank: Bank) -> tuple[Pool, ...]:
    """Ways to pool: vectors that are widened after pooling, or looked up in two parts, have no maximum."""
    parts = groups_of(bank)
    whole = all(g.access.widen is None and g.sizing.joins == "alone" for g in parts)
    return ("sum", "mean", "max") if whole else ("sum", "mean")


def _pooled(vectors: Tensor, pool: str) -> Tensor:
    """The vectors of one bag in one, by the plain words."""
    if not len(vectors):
        return torch.zeros(vectors.shape[1])
    return {"sum": vectors.sum(0), "mean": vectors.mean(0), "max": vectors.amax(0)}[pool]


def _flat(vectors: Tensor) -> Tensor:
    """[batch, columns, dim] to [columns x batch, dim]."""
    return vectors.transpose(0, 1).flatten(0, 1)
