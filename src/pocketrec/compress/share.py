"""How a number of rows is divided among tables: floors first, the rest by one rule."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["proportional", "waterfill"]


def waterfill(sizes: Sequence[int], total: int) -> list[int]:
    """Shares that fill up evenly from below: share = min(size, level), summing to min(total, sum of sizes).

    Small tables get all they want, large ones the same level; single rows left over go to the first large tables.
    At least 1 each: `total` must not be below the number of tables.

    >>> waterfill([3, 100, 50], 20)
    [3, 9, 8]
    """
    assert total >= len(sizes), f"{total} rows cannot give {len(sizes)} tables one each"
    left, shares = total, [0] * len(sizes)
    order = sorted(range(len(sizes)), key=lambda i: (sizes[i], i))
    for place, index in enumerate(order):
        share = min(sizes[index], left // (len(sizes) - place))
        shares[index] = share
        left -= share
    for index in range(len(sizes)):
        if left and shares[index] < sizes[index]:
            shares[index] += 1
            left -= 1
    return _even_level(sizes, shares)


def _even_level(sizes: Sequence[int], shares: list[int]) -> list[int]:
    """The same shares with the odd rows at the first of the unfilled tables, whatever the order of filling was."""
    open_tables = [i for i in range(len(sizes)) if shares[i] < sizes[i]]
    if not open_tables:
        return shares
    pool = sum(shares[i] for i in open_tables)
    level, odd = divmod(pool, len(open_tables))
    for place, index in enumerate(open_tables):
        shares[index] = level + (place < odd)
    return shares


def proportional(sizes: Sequence[int], total: int) -> list[int]:
    """Shares in proportion to the sizes, at least 1 and at most the size, summing to at most `total`.

    >>> proportional([3, 100, 50], 20)
    [1, 12, 6]
    """
    assert total >= len(sizes), f"{total} rows cannot give {len(sizes)} tables one each"
    all_rows, spare = sum(sizes), total - len(sizes)
    return [min(size, 1 + (size - 1) * spare // max(1, all_rows - len(sizes))) for size in sizes]
