"""Hash rows as in the synthetic test that adaptive.toml follows: tables of at most 600 tokens are exact, others share
the rest in proportion to their sizes (`hash_rows` itself fills all tables up to one level).

    python experiments/hash_keep_600.py experiments/adaptive_keep_600.toml --data LOGS

Takes what run.py takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import run

from pocketrec.compress.methods import hash_rows
from pocketrec.compress.share import proportional

_EXACT = 600


def shares(sizes: Sequence[int], rows: int) -> list[int]:
    """Rows per table."""
    small = [size <= _EXACT for size in sizes]
    left = rows - sum(size for size, exact in zip(sizes, small, strict=True) if exact)
    others = iter(proportional([size for size, exact in zip(sizes, small, strict=True) if not exact], left))
    return [size if exact else next(others) for size, exact in zip(sizes, small, strict=True)]


if __name__ == "__main__":
    hash_rows.waterfill = shares  # type: ignore[attr-defined, assignment]
    run.main()
