"""What the call refuses; that its bits are those of its parts is tested with the model."""

from __future__ import annotations

import pytest
import torch

from pocketrec.compress import build, size
from pocketrec.native.binding import kernels
from pocketrec.native.dlrm import DlrmCall
from pocketrec.native.net import Layer, Net
from pocketrec.native.prepared import Prepared
from pocketrec.spec.table import TableSpec

pytestmark = pytest.mark.skipif(kernels() is None, reason="pocketrec._native was not built, or POCKETREC_NATIVE=0")


def lookup(dim: int = 4, tables: int = 2) -> Prepared:
    specs = [TableSpec(name=f"t{i}", rows=9, dim=dim) for i in range(tables)]
    found = build(size(specs, "1x"), seed=0).prepared()
    assert found is not None
    return found


def net(inputs: int, outputs: int) -> Net:
    return Net([Layer(torch.ones(outputs, inputs), None, False)])


def test_nets_must_fit_the_vectors() -> None:
    dense, ids = torch.ones(1, 3), torch.zeros(1, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match="the bottom net gives 5 numbers, vectors have 4"):
        DlrmCall(kernels(), net(3, 5), lookup(), net(7, 1))(dense, ids)
    with pytest.raises(ValueError, match="the top net must read the 7 numbers"):
        DlrmCall(kernels(), net(3, 4), lookup(), net(8, 1))(dense, ids)
    with pytest.raises(ValueError, match="the top net gives 2 numbers, not one"):
        DlrmCall(kernels(), net(3, 4), lookup(), net(7, 2))(dense, ids)
    assert DlrmCall(kernels(), net(3, 4), lookup(), net(7, 1))(dense, ids).shape == (1,)


def test_what_it_takes() -> None:
    call = DlrmCall(kernels(), net(3, 4), lookup(), net(7, 1))
    dense, ids = torch.ones(2, 3), torch.zeros(2, 2, dtype=torch.int64)
    assert call.takes(dense, ids)
    for other in (dense.double(), torch.ones(2, 4), torch.ones(1, 3), torch.ones(3, 2).t(), dense[0]):
        assert not call.takes(other, ids)
    for wrong in (ids.int(), torch.zeros(2, 4, dtype=torch.int64)[:, ::2], ids[0]):
        assert not call.takes(dense, wrong)


def test_ids_with_more_columns_and_with_fewer() -> None:
    call = DlrmCall(kernels(), None, lookup(), net(1, 1))
    wide = torch.tensor([[1, 2, 77], [3, 4, -5]])
    assert torch.equal(call(torch.empty(2, 0), wide), call(torch.empty(2, 0), wide[:, :2].contiguous()))
    with pytest.raises(ValueError, match="reads column"):
        call(torch.empty(2, 0), wide[:, :1].contiguous())
