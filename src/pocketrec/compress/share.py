"""How a number of rows is divided among tables: floors first, the rest by one rule."""

from __future__ import annotations

from collections.abc import Sequence

from pocketrec.spec.stats import TableStats

__all__ = ["most_frequent", "proportional", "waterfill"]


def most_frequent(most: Sequence[int], stats: Sequence[TableStats], spare: int) -> tuple[list[int], int]:
    """How many ids of each table are among the `spare` most frequent ids of all tables, and the least count of those.

    Args:
        most: ids that each table has.
        stats: counts of each.
        spare: how many ids there may be.

    Returns:
        (ids per table, the count that all ids of at least that count are among them; some below may be, too).
    """
    threshold = _threshold(stats, spare)
    kept = [min(s.ids_at_least(threshold), n) for s, n in zip(stats, most, strict=True)]
    return _with_leftover(most, stats, kept, threshold, spare), threshold


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


def _threshold(stats: Sequence[TableStats], spare: int) -> int:
    """The smallest count such that the ids that occur at least so often are at most `spare`.

    Counts are walked from the top, merging the histograms of all tables; the answer is one above the count at which
    the rows run out, or 1 when everything fits.
    """
    tally: dict[int, int] = {}
    for table in stats:
        for count, ids in table.histogram:
            tally[count] = tally.get(count, 0) + ids
    left = spare
    for count in sorted(tally, reverse=True):
        left -= tally[count]
        if left < 0:
            return count + 1
    return 1


def _with_leftover(
    most: Sequence[int], stats: Sequence[TableStats], kept: list[int], threshold: int, spare: int
) -> list[int]:
    """Give rows that are left to ids one class of counts below the threshold, smallest tables first."""
    left = spare - sum(kept)
    for index in sorted(range(len(kept)), key=lambda i: (most[i], i)):
        below = max((c for c, _ in stats[index].histogram if c < threshold), default=0)
        wanted = min(stats[index].ids_at_least(below), most[index]) - kept[index] if below else 0
        given = max(0, min(left, wanted))
        kept[index] += given
        left -= given
    return kept
