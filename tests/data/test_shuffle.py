from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.data import shuffle
from pocketrec.data.shuffle import Shuffle


def order(rows: int, seed: int = 0, epoch: int = 0) -> np.ndarray:
    law = Shuffle(rows=rows, seed=seed, epoch=epoch)
    blocks = law.block_order()
    windows = [law.window(blocks, w) for w in range(law.windows)]
    starts = law.starts(blocks)
    assert starts.tolist() == np.cumsum([0, *(len(w) for w in windows)]).tolist()
    return np.concatenate(windows) if windows else np.zeros(0, dtype=np.int64)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "BLOCK_ROWS", 8)
    monkeypatch.setattr(shuffle, "WINDOW_BLOCKS", 4)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 31, 32, 33, 500, 1001])
def test_every_row_comes_once(rows: int) -> None:
    assert sorted(order(rows).tolist()) == list(range(rows))


@pytest.mark.usefixtures("small")
def test_seeds_and_epochs_have_their_own_orders() -> None:
    base = order(500).tolist()
    assert order(500).tolist() == base
    assert base != list(range(500))
    assert order(500, epoch=1).tolist() != base
    assert order(500, seed=1).tolist() != base


@pytest.mark.usefixtures("small")
def test_a_row_can_go_anywhere() -> None:
    places = np.array([np.flatnonzero(order(400, seed=s) == 0)[0] for s in range(300)])
    assert places.min() < 40
    assert places.max() >= 360
    assert abs(places.mean() - 200) < 30


@pytest.mark.usefixtures("small")
def test_a_window_is_computed_without_the_ones_before_it() -> None:
    law = Shuffle(rows=500, seed=5, epoch=2)
    blocks = law.block_order()
    begin, end = law.starts(blocks)[7:9]
    assert law.window(blocks, 7).tolist() == order(500, seed=5, epoch=2)[begin:end].tolist()


@given(st.integers(0, 2**40), st.integers(0, 1000))
def test_any_seed_and_epoch_will_do(seed: int, epoch: int) -> None:
    assert len(order(100, seed=seed, epoch=epoch)) == 100


def test_the_order_is_frozen() -> None:
    # A resumed run must see the same batches with another NumPy, too.
    assert order(12, seed=1, epoch=2).tolist() == [4, 7, 5, 8, 11, 9, 6, 2, 1, 10, 3, 0]
    assert Shuffle(rows=5 * shuffle.BLOCK_ROWS, seed=1, epoch=2).block_order().tolist() == [3, 4, 0, 1, 2]
