from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data.dense import Moments, fixed_steps, standardise, transformed
from pocketrec.spec.schema import DenseTransform, Field, Schema

NAN = float("nan")
NUMBERS = st.lists(st.floats(-1e6, 1e6), max_size=30)


def test_steps_come_in_their_order() -> None:
    x = np.array([NAN, -5.0, 0.0, 99.0, 1000.0])
    assert fixed_steps(x, DenseTransform()).tolist() == [0.0, -5.0, 0.0, 99.0, 1000.0]
    assert fixed_steps(x, DenseTransform(fill=7.0)).tolist()[0] == 7.0
    assert fixed_steps(x, DenseTransform(clip=(-1.0, 100.0), fill=200.0)).tolist() == [100.0, -1.0, 0.0, 99.0, 100.0]
    logs = fixed_steps(x, DenseTransform(log1p=True, clip=(-10.0, 99.0)))
    np.testing.assert_allclose(logs, np.log([1.0, 1.0, 1.0, 100.0, 100.0]), rtol=1e-7)
    assert logs.dtype == np.float32


def test_logs_are_taken_in_float64_and_rounded_once() -> None:
    x = np.array([16_777_217.0])  # not a float32
    assert fixed_steps(x, DenseTransform(log1p=True))[0] == np.float32(np.log1p(16_777_217.0))


def test_standardise_gives_mean_0_and_spread_1_and_0_for_constants() -> None:
    x = np.array([1.0, 2.0, 3.0, 6.0], dtype=np.float32)
    m = Moments.of(x)
    z = standardise(x, m.mean, m.std)
    assert abs(float(z.mean())) < 1e-6
    assert float(z.std()) == pytest.approx(1.0, abs=1e-6)
    assert standardise(np.ones(3, dtype=np.float32), 1.0, 0.0).tolist() == [0.0, 0.0, 0.0]


@given(NUMBERS, NUMBERS, NUMBERS)
def test_moments_of_heaps_merge_into_those_of_all(a: list[float], b: list[float], c: list[float]) -> None:
    heaps = [np.array(heap) for heap in (a, b, c)]
    merged = Moments.of(heaps[0]).merge(Moments.of(heaps[1])).merge(Moments.of(heaps[2]))
    whole = Moments.of(np.concatenate(heaps))
    assert (merged.count, merged.low, merged.high) == (whole.count, whole.low, whole.high)
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert merged.std == pytest.approx(whole.std, rel=1e-6, abs=1e-5)


def test_columns_are_fields_followed_by_their_flags() -> None:
    schema = Schema(
        fields=(
            Field(name="a", kind="dense", transform=DenseTransform(missing_flag=True, fill=-1.0)),
            Field(name="b", kind="dense"),
        )
    )
    dense = {"a": np.array([2.0, NAN]), "b": np.array([NAN, 3.0])}
    assert transformed(dense, schema, 2).tolist() == [[2.0, 0.0, 0.0], [-1.0, 1.0, 3.0]]
    assert transformed(dense, schema, 2).dtype == np.float32
