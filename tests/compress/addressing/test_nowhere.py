from __future__ import annotations

from collections.abc import Callable

from pocketrec.compress.addressing.nowhere import Nowhere

Found = Callable[..., list[list[int]]]


def test_no_id_has_an_address(found: Found) -> None:
    assert found(Nowhere(seed=7), [0, 1, 2**62]) == [[-1], [-1], [-1]]
    assert found(Nowhere(seed=7), [1, 2], padding=1) == [[-1], [-1]]
