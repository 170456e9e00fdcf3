from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pocketrec.data.prefetch import prefetch
from pocketrec.spec.errors import OptionError


def workers() -> int:
    return sum(thread.name == "pocketrec-prefetch" for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_items_come_in_their_order(depth: int) -> None:
    assert list(prefetch(iter(range(50)), depth=depth)) == list(range(50))
    assert workers() == 0


def test_an_exception_comes_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("lost")

    got = prefetch(items())
    assert [next(got), next(got)] == [1, 2]
    with pytest.raises(KeyError, match="lost"):
        next(got)
    assert workers() == 0


def test_it_never_runs_further_ahead_than_it_may() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    got = prefetch(items(), depth=3)
    assert next(got) == 0
    time.sleep(0.1)
    assert len(made) <= 5  # one used, three waiting, one in hand
    got.close()  # type: ignore[attr-defined]
    assert workers() == 0
    assert len(made) <= 6


def test_nothing_runs_before_the_first_item_is_asked_for() -> None:
    prefetch(iter([1]))
    assert workers() == 0


def test_the_depth_is_checked_at_once() -> None:
    with pytest.raises(OptionError, match="depth must be 1 or more, got 0"):
        prefetch(iter([1]), depth=0)
