from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress import build, size
from pocketrec.compress.methods.random_projection import METHOD
from pocketrec.compress.parts.init import stream
from pocketrec.native.hash_features import hash_features
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract


class TestRandomProjection(MethodContract):
    method = METHOD
    variants = ({}, {"signs": 20})


def test_a_vector_is_the_sum_of_signed_rows() -> None:
    bank = build(size([TableSpec(name="t", rows=3000, dim=6)], "100x", "random_projection"), seed=3)
    rows, ids = bank.tensors()["0.signed"][0], torch.arange(50)
    signs = hash_features(ids, stream(int(bank.tensors()["0.seed"]), 0), len(rows), "sign")
    expected = torch.stack([sum(sign * row for sign, row in zip(of, rows, strict=True)) for of in signs])
    torch.testing.assert_close(bank(ids[:, None])[:, 0], expected)


def test_lengths_of_differences_are_kept() -> None:
    """Johnson and Lindenstrauss: of a table that is all unit vectors, inner products are within 5 / sqrt(signs)."""
    signs = hash_features(torch.arange(400), 11, 4096, "sign") / math.sqrt(4096)
    products = signs @ signs.T
    torch.testing.assert_close(products.diagonal(), torch.ones(400))
    off = products - torch.eye(400)
    assert float(off.abs().max()) < 5.5 / math.sqrt(4096)
    assert abs(float(off.square().sum() / (400 * 399)) * 4096 - 1) < 0.05


def test_tables_that_are_smaller_stay_exact() -> None:
    tables = [TableSpec(name="large", rows=50_000, dim=4), TableSpec(name="small", rows=30, dim=4)]
    exact, signed = size(tables, 16 * 230 + 8, "random_projection").groups
    assert signed.settings["signs"] == 200
    assert [t.settings["rows"] for t in exact.tables] == [0, 30]
    assert exact.serve_bytes + signed.serve_bytes == 16 * 230 + 8


@pytest.mark.parametrize("signs", [0, 65_537])
def test_other_numbers_of_signs_are_refused(signs: int) -> None:
    with pytest.raises(OptionError, match="signs must lie"):
        METHOD(signs=signs)
