"""Jobs: processes of cells, from the runner's side."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pocketrec.bench.cells import Cell
from pocketrec.data.journal import write_durably

__all__ = ["Job", "Outcome", "job_of"]

# Threads of a cell: one, so that cells do not disturb each other and results do not depend on the machine's cores.
_THREADS: Final = {
    name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS")
}
_LOG_BYTES: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended.

    Attributes:
        line: the line of result, of a cell that went well.
        refused: why the method did not run.
        budget_bytes: the budget, where it was refused.
        failed: why it failed.
    """

    line: str | None = None
    refused: str | None = None
    budget_bytes: int = 0
    failed: str | None = None


def job_of(
    cell: Cell, cache: Path, identity: Mapping[str, Any], *, prepare: bool = False, tensorboard: Path | None = None
) -> dict[str, Any]:
    """What the process of a cell is told, JSON only; arguments are those of :class:`Job`."""
    return {
        "config": cell.config.to_json(), "cache": str(cache), "identity": {**identity, "data": cell.data},
        "prepare": prepare, "test": cell.trial is None, "md5": dict(cell.md5),
        "synthetic": None if cell.synthetic is None else dict(cell.synthetic),
        "tensorboard": None if tensorboard is None else str(tensorboard),
    }  # fmt: skip


class Job:
    """One process of its own for one cell, begun at once.

    Args:
        cell: what to run.
        cache: folder of encoded data.
        identity: fields of the line that only the caller knows.
        prepare: only make the cell's data: write a synthetic log, check published files, encode.
        tensorboard: folder for this cell's events, or None.
    """

    def __init__(
        self, cell: Cell, cache: Path, identity: Mapping[str, Any], *, prepare: bool = False,
        tensorboard: Path | None = None,
    ) -> None:  # fmt: skip
        self.cell = cell
        self._folder = Path(tempfile.mkdtemp(prefix="pocketrec-bench-"))
        job = job_of(cell, cache, identity, prepare=prepare, tensorboard=tensorboard)
        write_durably(self._folder / "job.json", json.dumps(job).encode())
        with (self._folder / "log.txt").open("wb") as log:
            # a session of its own: Ctrl-C is the runner's, which then ends its cells
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pocketrec.bench.cell_process", str(self._folder)], stdin=subprocess.PIPE,
                stdout=log, stderr=log, env={**os.environ, **_THREADS}, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def outcome(self) -> Outcome | None:
        """How it ended, None while it runs. What it kept on disk is then gone."""
        code = self._process.poll()
        if code is None:
            return None
        try:
            found = json.loads((self._folder / "outcome.json").read_text(encoding="utf-8"))
            return Outcome(**found)
        except (OSError, ValueError):
            return Outcome(failed=self._died(code))
        finally:
            self._clear()

    def wait(self) -> Outcome:
        """How it ended, once it has."""
        self._process.wait()
        found = self.outcome()
        assert found is not None
        return found

    def kill(self) -> None:
        """End it at once, without an outcome."""
        self._process.kill()
        self._process.wait()
        self._clear()

    def _died(self, code: int) -> str:
        """A process that left no outcome, in words."""
        log = (self._folder / "log.txt").read_bytes()[-_LOG_BYTES:].decode("utf-8", "replace").strip().splitlines()
        last = f": {log[-1].strip()}" if log else ""
        if code >= 0:
            return f"The cell's process ended with code {code}{last}"
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            memory = " (by the system, where memory runs out)" if name == "SIGKILL" else ""
            return f"The cell's process was ended by {name}{memory}{last}"
        return f"The cell's process was ended by signal {-code}{last}"

    def _clear(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)
