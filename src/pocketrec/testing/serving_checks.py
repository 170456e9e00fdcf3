"""Checks of state that outlives a process: resume, the frozen form, memory that is not ours, export."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, layout, settled, stages
from pocketrec.compress.group import Group
from pocketrec.compress.holdings import Array, Rows, train_tensors
from pocketrec.compress.in_float32 import float32_weights
from pocketrec.compress.method import of
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.errors import ArtifactError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import IdSpace
from pocketrec.testing.cases import Cases, groups_of, learn, random_batch, refusal

__all__ = ["ServingChecks"]


class ServingChecks(Cases):
    """From the training form to the serving form, and through tensors back."""

    def test_resume_is_exact(self, variant: Mapping[str, Any], space: IdSpace, trained: str) -> None:
        sizing = self.sized(variant, space, storage=trained)
        through: Bank | None = None
        resumed: Bank | None = None
        for number, (_, stage) in enumerate(stages(sizing)):
            through = build(stage, seed=0, data=self.data, previous=through)
            resumed = build(stage, seed=0, data=self.data, previous=resumed)
            for step in range(4):
                batch = random_batch(sizing, 10 * number + step)
                learn(through, batch)
                learn(resumed, batch)
                # as a checkpoint does: only names and numbers survive
                resumed = attach(stage, {name: t.clone() for name, t in resumed.tensors().items()}, form="train")
            for name, tensor in through.tensors().items():
                assert torch.equal(tensor, resumed.tensors()[name]), f"stage {number}: {name}"

    def test_what_is_settled_is_within_the_promise(self, variant: Mapping[str, Any], storage: str) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        bank: Bank | None = None
        for number, (_, planned) in enumerate(stages(sizing)):
            exact = planned if bank is None else settled(bank, planned)
            assert (exact is planned) or of(self.method.name, variant).traits.settles
            bank = build(exact, seed=0, data=self.data, previous=bank)
            learn(bank, random_batch(sizing, number))
        assert bank is not None
        served = freeze(bank)
        assert served.held_bytes() == served.sizing.serve_bytes == bank.sizing.serve_bytes <= sizing.serve_bytes
        assert served.sizing.order == sizing.order
        again = settled(bank, sizing)
        assert again.groups == bank.sizing.groups, "what was chosen stays"

    def test_missing_and_wrong_tensors_are_refused(self, variant: Mapping[str, Any]) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0])
        tensors = freeze(self.bank(sizing)).tensors()
        for name, tensor in tensors.items():
            rest = {n: t for n, t in tensors.items() if n != name}
            refusal(ArtifactError, partial(attach, sizing, rest), name)
            wrong = {**rest, name: tensor.new_zeros(len(tensor) + 1, *tensor.shape[1:])}
            refusal(ArtifactError, partial(attach, sizing, wrong), name.split(".", 1)[1])

    def test_freezing_stays_within_a_step(self, variant: Mapping[str, Any], storage: str) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        bank = self.bank(sizing, steps=2)
        served = freeze(bank)
        assert groups_of(bank)[0].method.storage == storage
        held = bank.tensors()
        for index, (group, frozen) in enumerate(zip(groups_of(bank), groups_of(served), strict=True)):
            held |= {f"{index}.{name}": near for name, near in _decoded(group, frozen).items()}
        ids = random_batch(sizing, 5).ids
        reread = _trained_in_float32(sizing, held).eval()
        with torch.no_grad():
            torch.testing.assert_close(served(ids), reread(ids), rtol=1e-5, atol=1e-6)
            if all(group.method.storage == "float32" for group in groups_of(bank)):
                assert self.same(served(ids), bank.eval()(ids))

    def test_freezing_leaves_the_bank_alone(self, variant: Mapping[str, Any]) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0])
        bank = self.bank(sizing, steps=1)
        before = {name: tensor.clone() for name, tensor in bank.tensors().items()}
        served = freeze(bank)
        asked = [[table.ids for table in group.sizing.tables] for group in groups_of(served)]
        trained = [[table.ids for table in group.sizing.tables] for group in groups_of(bank)]
        assert (asked != trained) == of(self.method.name, variant).traits.rehashed, "the ids that it is served on"
        assert not served.training
        assert not any(p.requires_grad for p in served.parameters())
        for tensor in served.tensors().values():
            tensor.zero_()
        for name, tensor in bank.tensors().items():
            assert torch.equal(tensor, before[name]), f"{name} shares memory with the frozen bank"

    def test_a_memory_map_is_served_without_copying(
        self, variant: Mapping[str, Any], storage: str, tmp_path: Path
    ) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        frozen = freeze(self.bank(sizing, steps=1))
        mapped, (first, last) = _mapped(frozen, tmp_path / "tables")
        served = attach(frozen.sizing, mapped).eval()
        for name, tensor in served.tensors().items():
            assert first <= tensor.data_ptr() < last or not tensor.numel(), f"{name} was copied out of the map"
        ids = random_batch(sizing, 6).ids
        assert torch.equal(served(ids), frozen(ids))
        assert served.held_bytes() == sizing.serve_bytes

    def test_compiled_equals_eager(self, variant: Mapping[str, Any], one_of_a_kind: str) -> None:
        served, ids = self._served(variant, one_of_a_kind)
        torch._dynamo.reset()
        compiled = torch.compile(served, backend="aot_eager", fullgraph=True)
        assert self.same(compiled(ids), served(ids))

    def test_exported_equals_eager(self, variant: Mapping[str, Any], one_of_a_kind: str) -> None:
        served, ids = self._served(variant, one_of_a_kind)
        program = torch.export.export(served, (ids,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        exported = program.module()
        assert self.same(exported(ids), served(ids))
        assert self.same(exported(ids[:5]), served(ids[:5]))

    def _served(self, variant: Mapping[str, Any], storage: str) -> tuple[Bank, Tensor]:
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        return freeze(self.bank(sizing, steps=1)), random_batch(sizing, 12).ids


def _decoded(group: Group, frozen: Group) -> dict[str, Tensor]:
    """Float32 weights by name as they are read from the serving form, within a step of those that were trained."""
    storage, found = group.method.storage, {}
    kept = STORAGES.get(storage)
    for holding in group.method.holdings(group.sizing.tables, group.sizing.settings):
        if not isinstance(holding, (Rows, Array)):
            continue
        exact, stored = float32_weights(group, holding.name), frozen.tensor(holding.name)
        if isinstance(holding, Rows):
            near, limit = kept.decode(stored, holding.width), kept.step_size(exact)
        else:
            near, limit = kept.decode_array(stored, holding.weights), _array_limit(exact, storage)
        assert ((near - exact).abs() <= limit).all(), f"{holding.name} is further off than {storage} allows"
        found[holding.name] = near
    return found


def _trained_in_float32(sizing: Sizing, tensors: Mapping[str, Tensor]) -> Bank:
    """The training form over float32 weights, whatever the sizing's storage is trained as."""
    groups = []
    for group in sizing.groups:
        held = of(group.method, group.options).holdings(group.tables, group.settings)
        options, train = {**group.options, "storage": "float32"}, train_tensors(held, "float32")
        groups.append(replace(group, options=options, train=train))
    return attach(replace(sizing, groups=tuple(groups)), tensors, form="train")


def _array_limit(weights: Tensor, storage: str) -> Tensor:
    """The error that a storage may make per weight of a shared array, which has a scale per 64 weights."""
    kept = STORAGES.get(storage)
    width = 64 if kept.code else 1
    short = -len(weights) % width
    rows = torch.cat([weights, weights[-1:].expand(short)]).reshape(-1, width)
    return kept.step_size(rows).expand(-1, width).reshape(-1)[: len(weights)]


def _mapped(bank: Bank, path: Path) -> tuple[dict[str, Tensor], tuple[int, int]]:
    """The bank's tensors in one file, mapped read-only, and the addresses between which the map lies."""
    placed = layout(bank.sizing)
    size = max(p.offset_bytes + p.spec.nbytes for p in placed)
    memory = np.zeros(size, dtype=np.uint8)
    for place in placed:
        data = bank.tensors()[place.name].contiguous().view(-1).view(torch.uint8).numpy()
        memory[place.offset_bytes : place.offset_bytes + place.spec.nbytes] = data
    memory.tofile(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns that the memory cannot be written: so it should be
        mapped = torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="r"))
    found = {}
    for place in placed:
        part = mapped[place.offset_bytes : place.offset_bytes + place.spec.nbytes]
        found[place.name] = part.view(getattr(torch, place.spec.dtype)).view(place.spec.shape)
    return found, (mapped.data_ptr(), mapped.data_ptr() + size)
