"""Jobs: processes of cells, from the runner's side."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
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
from pocketrec.spec.errors import TrainingError

__all__ = ["CellServer", "Job", "Outcome", "job_of"]

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


class CellServer:
    """The runner's side of `pocketrec.bench.cell_server`: begins processes, and hears how they end.

    Args:
        module: whose ``main`` they call.
    """

    def __init__(self, module: str = "pocketrec.bench.cell_process") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pocketrec.bench.cell_server", module], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, **_THREADS}, start_new_session=True,
        )  # fmt: skip
        self._heard, self._silent = b"", False
        self._pids: dict[str, int] = {}
        self._codes: dict[str, int] = {}

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._silent and self._process.poll() is None

    def begin(self, folder: Path) -> int:
        """Begin a job; its process.

        Raises:
            TrainingError: the server is gone.
        """
        asked = {"folder": str(folder), "cwd": str(Path.cwd())}
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # which is told below
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        while str(folder) not in self._pids:
            if not self.alive or not self._hear(wait=True):
                raise TrainingError("The process that cells come from has ended. Run the command again: it goes on.")
        return self._pids.pop(str(folder))

    def code(self, folder: Path, *, wait: bool = False) -> int | None:
        """With what a job's process ended, below 0 for a signal; None while it runs."""
        while self._hear(wait=wait and str(folder) not in self._codes):
            pass
        found = self._codes.pop(str(folder), None)
        return -signal.SIGKILL if found is None and self._silent else found  # its cells end with it

    def close(self) -> None:
        """End it, and all jobs."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # what it was not told any more
            self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _hear(self, *, wait: bool) -> bool:
        """Read what it says, if it says anything; whether it did."""
        assert self._process.stdout is not None
        source = self._process.stdout.fileno()
        if not select.select([source], [], [], None if wait else 0)[0]:
            return False
        *lines, self._heard = (self._heard + (found := os.read(source, 1 << 16))).split(b"\n")
        for line in lines:
            folder, what, number = json.loads(line)
            (self._pids if what == "began" else self._codes)[folder] = number
        self._silent = not found
        return not self._silent


_servers: list[CellServer] = []


def _shared_server() -> CellServer:
    """One for all jobs of this process, begun when the first job is."""
    if not _servers or not _servers[0].alive:
        _servers[:] = [CellServer()]
        atexit.register(_servers[0].close)
    return _servers[0]


class Job:
    """One process of its own for one cell, begun at once.

    Attributes:
        pid: of the process.

    Args:
        cell: what to run.
        cache: folder of encoded data.
        identity: fields of the line that only the caller knows.
        prepare: only make the cell's data: write a synthetic log, check published files, encode.
        tensorboard: folder for this cell's events, or None.
        server: begins the process; None: one that all jobs share.
    """

    def __init__(
        self, cell: Cell, cache: Path, identity: Mapping[str, Any], *, prepare: bool = False,
        tensorboard: Path | None = None, server: CellServer | None = None,
    ) -> None:  # fmt: skip
        self.cell, self._server = cell, server or _shared_server()
        self._folder = Path(tempfile.mkdtemp(prefix="pocketrec-bench-"))
        job = job_of(cell, cache, identity, prepare=prepare, tensorboard=tensorboard)
        write_durably(self._folder / "job.json", json.dumps(job).encode())
        (self._folder / "log.txt").touch()
        try:
            self.pid = self._server.begin(self._folder)
        except BaseException:
            self._clear()
            raise

    def outcome(self, *, wait: bool = False) -> Outcome | None:
        """How it ended, None while it runs. What it kept on disk is then gone."""
        code = self._server.code(self._folder, wait=wait)
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
        found = self.outcome(wait=True)
        assert found is not None
        return found

    def kill(self) -> None:
        """End it at once, without an outcome; nothing happens where it has ended and said so."""
        if not self._folder.exists():  # its outcome was taken
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._server.code(self._folder, wait=True)
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
        shutil.rmtree(self._folder, ignore_errors=True)
