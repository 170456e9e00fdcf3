"""How a report writes numbers."""

from __future__ import annotations

from collections.abc import Iterable

from pocketrec.bench.grouping import Spread

__all__ = ["NOTHING", "amount", "bytes_text", "exact_bytes", "short", "signed", "with_spread"]

NOTHING = "\N{EN DASH}"


def bytes_text(count: float) -> str:
    """Bytes in three digits and the unit that suits.

    >>> [bytes_text(n) for n in (0, 999, 20236, 202362, 2023622, 10**12)]
    ['0 B', '999 B', '20.2 kB', '202 kB', '2.02 MB', '1 TB']
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        # 999.5 would be written as 1e+03.
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.3g} {unit}" if count < 999.5 else f"{count:,.0f} {unit}"


def exact_bytes(counts: Iterable[int | None]) -> str:
    """Bytes to the last one; when seeds differ, the least and the most.

    >>> exact_bytes([20236, 20236]), exact_bytes([5, 1200])
    ('20,236', '5 to 1,200')
    """
    known = sorted({count for count in counts if count is not None})
    if not known:
        return NOTHING
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def amount(spread: Spread | None) -> str:
    """A mean of something that needs no more than three digits.

    >>> amount(Spread.of([63_000.0, 64_000.0])), amount(Spread.of([0.25]))
    ('63,500', '0.25')
    """
    if spread is None:
        return NOTHING
    return f"{spread.mean:,.0f}" if spread.mean >= 100 else f"{spread.mean:.3g}"


def with_spread(spread: Spread | None, digits: int) -> str:
    """A mean, and the standard deviation over seeds when there are several.

    >>> with_spread(Spread.of([0.75, 0.76]), 4), with_spread(Spread.of([0.75]), 4)
    ('0.7550 ± 0.0071', '0.7500')
    """
    if spread is None:
        return NOTHING
    text = f"{spread.mean:.{digits}f}"
    return text if spread.deviation is None else f"{text} \N{PLUS-MINUS SIGN} {spread.deviation:.{digits}f}"


def signed(value: float, digits: int = 4) -> str:
    r"""A difference, with its sign; what rounds to nothing has none.

    >>> signed(0.00123), signed(-0.5, 1) == "\N{MINUS SIGN}0.5", signed(-0.00001)
    ('+0.0012', True, '0.0000')
    """
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def short(text: str, most: int = 32) -> str:
    """At most so many characters: a label must leave room for the drawing.

    >>> short("quotient_remainder, block 32", 12)
    'quotient_re…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
