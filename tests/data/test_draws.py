from __future__ import annotations

import math

import numpy as np
import pytest

from pocketrec.data.draws import calibrate, draw, normals, sigmoid, stream, token_text, zipf, zipf_exactly
from pocketrec.data.mixing import uniforms

N = 40_000
U = (np.arange(N) + 0.5) / N


def test_streams_tell_seeds_names_and_fields_apart() -> None:
    found = {stream(seed, name, field) for seed in (0, 1) for name in ("place", "own") for field in (0, 1)}
    assert len(found) == 8
    assert all(0 <= number < 2**63 for number in found)
    assert stream(3, "place") == stream(3, "place", 0)


def test_draws_are_a_function_of_the_counter() -> None:
    counters = np.arange(50)
    assert np.array_equal(draw(counters, 1, "a")[20:30], draw(counters[20:30], 1, "a"))
    assert np.array_equal(draw(counters, 1, "a", 2), uniforms(counters, stream(1, "a", 2)))


def test_normals_are_normal() -> None:
    found = normals(np.arange(N), 4, "x")
    assert abs(float(found.mean())) <= 4 / math.sqrt(N)
    assert float(found.var()) == pytest.approx(1, abs=4 * math.sqrt(2 / N))
    assert float((found**4).mean()) == pytest.approx(3, abs=4 * math.sqrt(96 / N))
    assert np.isfinite(found).all()
    other = normals(np.arange(N), 4, "y")
    assert abs(float((found * other).mean())) <= 4 / math.sqrt(N)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.1, 2.0])
def test_zipf_is_a_law_of_powers(exponent: float) -> None:
    exact = np.bincount(zipf_exactly(U, 100, exponent), minlength=100) / N
    weights = np.arange(1, 101) ** -exponent
    assert np.abs(exact - weights / weights.sum()).max() <= 2 / N
    near = np.bincount(zipf(U, 100, exponent), minlength=100) / N
    between = np.arange(1.0, 102.0)
    power = 1 - exponent
    ends = np.log(between) if exponent == 1 else between**power
    assert np.abs(near - np.diff(ends) / (ends[-1] - ends[0])).max() <= 2 / N
    assert 0.5 * exact[0] < near[0] < exact[0]


def test_places_stay_within_the_field() -> None:
    edge = np.array([0.0, np.nextafter(1.0, 0.0)])
    for made in (zipf, zipf_exactly):
        assert made(edge, 7, 1.1).tolist() == [0, 6]
        assert made(edge, 1, 1.1).tolist() == [0, 0]


def test_texts_are_a_permutation() -> None:
    tokens = np.arange(5000)
    one, two = token_text(tokens, 1), token_text(tokens, 2)
    assert one.dtype == np.uint32
    assert len(np.unique(one)) == 5000
    assert (one != two).mean() > 0.99


def test_calibration_gives_spread_and_rate() -> None:
    raw = normals(np.arange(N), 0, "raw") * 3 + 1
    scale, intercept = calibrate(raw, 1.5, 0.2)
    logit = scale * raw + intercept
    assert float(logit.std()) == pytest.approx(1.5)
    assert float(sigmoid(logit).mean()) == pytest.approx(0.2)
    assert calibrate(np.zeros(10), 1.0, 0.5)[1] == pytest.approx(0.0, abs=1e-9)
