from __future__ import annotations

import pytest

from pocketrec.bench.grouping import Spread
from pocketrec.bench.wording import amount, bytes_text, exact_bytes, short, signed, with_spread


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.7, "1 kB"),
        (1000, "1 kB"),
        (20236, "20.2 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2_023_622, "2.02 MB"),
        (96_000_000_000, "96 GB"),
        (10**15, "1,000 TB"),
        (5 * 10**15, "5,000 TB"),
    ],
)
def test_bytes_in_three_digits(count: float, text: str) -> None:
    assert bytes_text(count) == text


def test_exact_bytes_say_when_seeds_differ() -> None:
    assert exact_bytes([20236, None, 20236]) == "20,236"
    assert exact_bytes([1200, 5, 7]) == "5 to 1,200"
    assert exact_bytes([None]) == exact_bytes([]) == "\N{EN DASH}"


def test_numbers_with_their_spread() -> None:
    assert with_spread(Spread.of([0.75, 0.76]), 4) == "0.7550 \N{PLUS-MINUS SIGN} 0.0071"
    assert with_spread(Spread.of([0.75]), 3) == "0.750"
    assert with_spread(None, 4) == amount(None) == "\N{EN DASH}"
    assert amount(Spread.of([63_000.4])) == "63,000"
    assert amount(Spread.of([1.23456])) == "1.23"


def test_differences_have_a_sign() -> None:
    assert signed(0.00126) == "+0.0013"
    assert signed(-0.00126) == "\N{MINUS SIGN}0.0013"
    assert signed(-0.00001) == signed(0.0) == "0.0000"


def test_long_names_are_cut() -> None:
    assert short("a" * 32) == "a" * 32
    assert short("a" * 33) == "a" * 31 + "\N{HORIZONTAL ELLIPSIS}"
