from __future__ import annotations

import pytest
import torch

from pocketrec.native.lane_sums import lane_sums


@pytest.mark.parametrize("unit", [1, 5, 16, 33])
def test_sums_over_the_last_axis(unit: int) -> None:
    values = torch.randn(40, unit, generator=torch.Generator().manual_seed(unit))
    torch.testing.assert_close(lane_sums(values).double(), values.double().sum(1), rtol=1e-5, atol=1e-6)


def test_the_order_is_that_of_sixteen_lanes_folded_in_halves() -> None:
    """1e8 swallows a 1 that is added to it: what is left says which numbers met first."""
    values = torch.zeros(1, 32)
    values[0, 0], values[0, 8], values[0, 16] = 1e8, 1.0, -1e8
    assert float(lane_sums(values)) == 1.0  # 0 and 16 share a lane, 8 is folded in afterwards
    values[0, 8], values[0, 16] = -1e8, 1.0
    assert float(lane_sums(values)) == 0.0
