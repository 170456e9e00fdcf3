"""Hash rows as in the synthetic test that adaptive.toml follows: tables of at most 600 tokens are exact, others share
the rest in proportion to their sizes (`hash_rows` itself fills all tables up to one level).

    python experiments/hash_keep_600.py experiments/adaptive_keep_600.toml LOGS

Runs the study as `pocketrec bench` does, but in this process, where `hash_rows` is another.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketrec.bench.cell_process import do
from pocketrec.bench.cells import Cell
from pocketrec.bench.jobs import Job, Outcome, job_of
from pocketrec.bench.memory import usable_bytes
from pocketrec.bench.runner import Runner, Settings
from pocketrec.bench.study import read_study
from pocketrec.cli._run import commit
from pocketrec.compress.methods import hash_rows
from pocketrec.compress.share import proportional
from pocketrec.pipeline.data import default_cache

_EXACT = 600


class _Here(Job):
    """A cell that runs where it is begun."""

    def __init__(
        self, cell: Cell, cache: Path, identity: Mapping[str, Any], *, prepare: bool = False,
        tensorboard: Path | None = None,
    ) -> None:  # fmt: skip
        self.cell = cell
        self._found = Outcome(**do(job_of(cell, cache, identity, prepare=prepare, tensorboard=tensorboard)))

    def outcome(self) -> Outcome:
        return self._found

    def wait(self) -> Outcome:
        return self._found

    def kill(self) -> None:
        pass


def shares(sizes: Sequence[int], rows: int) -> list[int]:
    """Rows per table."""
    small = [size <= _EXACT for size in sizes]
    left = rows - sum(size for size, exact in zip(sizes, small, strict=True) if exact)
    others = iter(proportional([size for size, exact in zip(sizes, small, strict=True) if not exact], left))
    return [size if exact else next(others) for size, exact in zip(sizes, small, strict=True)]


if __name__ == "__main__":
    hash_rows.waterfill = shares  # type: ignore[attr-defined, assignment]
    study = Path(sys.argv[1])
    said = f"python experiments/hash_keep_600.py experiments/{study.name} LOGS"
    how = Settings(
        data=Path(sys.argv[2]), out=study.parent / "results", cache=default_cache(), jobs=1,
        memory_bytes=usable_bytes(), identity={"commit": commit(), "command": said},
    )  # fmt: skip
    print(Runner(read_study(study), how, start=_Here).run())  # noqa: T201
