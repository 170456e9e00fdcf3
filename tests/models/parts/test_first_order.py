from __future__ import annotations

import pytest
import torch

from pocketrec.models.parts.first_order import split_rows, vector_width
from pocketrec.spec.errors import OptionError


def test_the_last_number_of_a_row_is_the_weight() -> None:
    rows = torch.tensor([[[1.0, 2.0, 10.0], [3.0, 4.0, 20.0]], [[0.0, 0.0, 0.0], [5.0, 6.0, -1.0]]])
    vectors, weights = split_rows(rows)
    assert vectors.tolist() == [[[1, 2], [3, 4]], [[0, 0], [5, 6]]]
    assert weights.tolist() == [30, -1]


def test_rows_without_room_are_refused() -> None:
    assert vector_width(9) == 8
    with pytest.raises(OptionError, match=r"the tables have dim 1\. Make tables of the model's vector_dim"):
        vector_width(1)
