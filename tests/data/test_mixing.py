from __future__ import annotations

import numpy as np

from pocketrec.data.mixing import mix64, uniforms


def test_the_finaliser_is_that_of_splitmix64() -> None:
    # The published first outputs of splitmix64 with seed 1234567: finaliser of seed + n * golden gamma.
    seeds = np.array([1234567], dtype=np.uint64) + np.arange(1, 4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert mix64(seeds).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_uniforms_are_a_function_of_counter_and_stream() -> None:
    u = uniforms(np.arange(100_000), 7)
    assert (u >= 0).all()
    assert (u < 1).all()
    assert abs(u.mean() - 0.5) < 0.005
    assert abs(u.std() - 12**-0.5) < 0.005
    assert uniforms(np.array([5, 3]), 7).tolist() == u[[5, 3]].tolist()
    assert abs(np.corrcoef(u, uniforms(np.arange(100_000), 8))[0, 1]) < 0.02
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.02
