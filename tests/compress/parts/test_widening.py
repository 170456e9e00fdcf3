from __future__ import annotations

import pytest
import torch

from pocketrec.compress import build, size
from pocketrec.compress.parts.widening import low_rank
from pocketrec.spec.table import TableSpec


@pytest.mark.parametrize("width", [1, 3, 7, 8])
def test_the_nearest_table_of_that_rank(width: int) -> None:
    """Eckart, Young 1936: what is lost is the sum of the squared singular values that were dropped."""
    dense = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)) + 1
    rows, matrix = low_rank(dense, width)
    assert (rows.shape, matrix.shape) == ((50, width), (width, 8))
    lost = (rows @ matrix - dense).square().sum()
    torch.testing.assert_close(lost, torch.linalg.svdvals(dense)[width:].square().sum(), rtol=1e-4, atol=1e-4)


def test_matrices_differ_and_have_the_variance_of_their_width() -> None:
    tables = [TableSpec(name=n, rows=5000, dim=64) for n in "ab"]
    group = build(size(tables, "4x", "narrow", widen=True), seed=0).group_of("a")
    first, second = group.tensor("widen").data
    assert len(first) == 15, "sixteen and the matrices do not fit"
    assert not torch.equal(first, second)
    for matrix in (first, second):
        assert abs(float(matrix.var()) * len(matrix) - 1) < 0.1
