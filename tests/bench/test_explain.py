"""Words about a fit."""

from __future__ import annotations

import pytest

from pocketrec.bench.explain import _nats, _why
from pocketrec.compress.fit import TableChoice


def choice(nbytes: int, nats: float) -> TableChoice:
    return TableChoice(
        table="t", method="min_count", options={"storage": "int4"}, nbytes=nbytes, train_bytes=1, kept=0.5, nats=nats
    )


def test_why_a_table_did_not_get_more() -> None:
    assert _why(choice(100, 0.3), None, 1e-4) == "nothing to gain"
    said = _why(choice(100, 0.3), choice(1100, 0.25), 1e-4)
    assert said == "1,000 bytes more (min_count int4) would save 0.050000, 0.50 of the price"
    assert _why(choice(1200, 0.2), choice(1100, 0.25), 1e-4) == "left over bytes were spent on it"


@pytest.mark.parametrize(("nats", "text"), [(0.0123, "0.012300"), (3.4e-5, "3.4e-05"), (0.0, "0")])
def test_small_numbers_stay_readable(nats: float, text: str) -> None:
    assert _nats(nats) == text
