"""StorageContract: everything that is true of every number format, as tests that three lines inherit."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from pocketrec.compress.storage import STORAGES, Storage
from pocketrec.native import Access, Kind, lookup, program_row, update
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import DTYPE_BYTES

if TYPE_CHECKING:
    import pytest

__all__ = ["StorageContract"]

_CARD = ("Bytes:", "Trained ")


class StorageContract:
    """The contract of a storage.

    ::

        class TestInt8(StorageContract):
            storage = STORAGE
    """

    storage: ClassVar[Storage]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called by pytest: which rows and arrays are tried."""
        if "rows" in metafunc.fixturenames:
            cases = _row_cases()
            metafunc.parametrize("rows", list(cases.values()), ids=list(cases))
        if "weights" in metafunc.fixturenames:
            metafunc.parametrize("weights", [1, 63, 64, 65, 200])

    def test_has_a_card_and_a_name(self) -> None:
        module = inspect.getmodule(type(self.storage))
        assert module is not None
        assert module.__name__.rsplit(".", 1)[-1] == self.storage.name
        assert STORAGES.get(self.storage.name) is self.storage
        for head in _CARD:
            assert any(line.startswith(head) for line in (module.__doc__ or "").splitlines()), head
        trained = STORAGES.get(self.storage.trained_as)
        assert trained is self.storage or trained.code == 0, "trained in its own type, or in floats"
        assert STORAGES.get(self.storage.array_trained_as or trained.name).code == 0, "arrays are trained in floats"
        assert not self.storage.rounds_reads or trained.name == "float32", "what is rounded when read learns in float32"

    def test_what_is_trained_in_its_own_type_moves_in_place(self, rows: Tensor) -> None:
        if self.storage.trained_as != self.storage.name or self.storage.learns_scales:
            return  # rows whose scale learns are cut to what it spans: their own tests say so
        width, spec = rows.shape[1], OptimizerSpec(name="sgd", lr=0.5)
        stored = self.storage.encode(rows)
        before, addresses = stored.clone(), torch.arange(0, len(rows), 2)
        start = self.storage.decode(before, width)
        update([stored], [], addresses, torch.ones(len(addresses), width) * start.std(), spec, step=1)
        wanted = start.clone()
        wanted[addresses] -= 0.5 * start.std()
        limit = 2 * self.storage.step_size(wanted)  # rounded up or down, not to the nearest
        assert ((self.storage.decode(stored, width) - wanted).abs() <= limit).all()
        assert torch.equal(stored[1::2], before[1::2])

    def test_rows_are_as_large_as_they_say(self, rows: Tensor) -> None:
        stored = self.storage.encode(rows)
        assert tuple(stored.shape) == self.storage.rows_shape(*rows.shape)
        assert stored.dtype == getattr(torch, self.storage.dtype)
        assert stored.is_contiguous()
        assert stored.numel() * stored.element_size() == rows.shape[0] * self.storage.row_bytes(rows.shape[1])

    def test_rows_come_back_within_a_step(self, rows: Tensor) -> None:
        before = rows.clone()
        back = self.storage.decode(self.storage.encode(rows), rows.shape[1])
        assert back.dtype == torch.float32
        assert back.shape == rows.shape
        limit = self.storage.step_size(rows)
        assert tuple(limit.shape) == (rows.shape[0], 1)
        assert ((back - rows).abs() <= limit).all(), f"off by {float(((back - rows).abs() - limit).max()):g} too much"
        assert torch.equal(rows, before), "encoding changed its input"

    def test_encoding_again_changes_little(self, rows: Tensor) -> None:
        once = self.storage.decode(self.storage.encode(rows), rows.shape[1])
        twice = self.storage.decode(self.storage.encode(once), rows.shape[1])
        torch.testing.assert_close(twice, once, rtol=1e-5, atol=1e-6 * max(1.0, float(rows.abs().max())))

    def test_rows_do_not_depend_on_each_other(self, rows: Tensor) -> None:
        stored = self.storage.encode(rows)
        for number in range(len(rows)):
            assert torch.equal(self.storage.encode(rows[number : number + 1])[0], stored[number])

    def test_arrays_come_back_within_a_step(self, weights: int) -> None:
        values = torch.randn(weights, generator=torch.Generator().manual_seed(weights))
        stored = self.storage.encode_array(values)
        assert tuple(stored.shape) == self.storage.array_shape(weights)
        assert stored.dtype == getattr(torch, self.storage.dtype)
        back = self.storage.decode_array(stored, weights)
        assert back.shape == values.shape
        limit = max(float(self.storage.step_size(values[i : i + 64][None])) for i in range(0, weights, 64))
        assert (back - values).abs().max() <= limit

    def test_the_longest_array_that_fits(self, weights: int) -> None:
        element = DTYPE_BYTES[self.storage.dtype]
        shape = self.storage.array_shape(weights)
        held_bytes = element * (shape[0] if len(shape) == 1 else shape[0] * shape[1])
        most = self.storage.most_weights(held_bytes)
        assert most >= weights
        assert self.storage.array_shape(most) == shape, "no more bytes than were given"
        assert self.storage.most_weights(held_bytes - 1) < weights or self.storage.array_shape(most - 1) == shape

    def test_the_native_lookup_reads_it(self, rows: Tensor) -> None:
        stored, back = self.storage.encode(rows), self.storage.decode(self.storage.encode(rows), rows.shape[1])
        program = torch.tensor([program_row(kind=Kind.ROW, size=len(rows))])
        access = Access(program, (self.storage.code,), rows.shape[1])
        found = lookup([stored], torch.arange(len(rows))[:, None], access)
        torch.testing.assert_close(found[:, 0], back)


def _row_cases() -> dict[str, Tensor]:
    """Rows that quantisers stumble over."""
    draw = torch.Generator().manual_seed(0)
    normal = torch.randn(9, 16, generator=draw)
    return {
        "normal": normal,
        "one number": normal[:, :1].contiguous(),
        "tiny": normal * 1e-6,
        "large": normal * 1e3,
        "zeros": torch.zeros(3, 5),
        "constant": torch.full((3, 5), -0.37),
        "offset": normal + 100,
        "one outlier": torch.cat([normal, torch.full((9, 1), 50.0)], dim=1),
        "one row": normal[:1],
    }
