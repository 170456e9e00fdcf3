"""How much memory a cell will need, how much there is, and whether another cell fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pocketrec.bench.cells import Cell
from pocketrec.compress import stages
from pocketrec.pipeline.data import open_data
from pocketrec.pipeline.size import check_schema, size_run
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import BudgetTextError, BudgetTooSmall, OptionError

__all__ = ["Admission", "Need", "need_of", "usable_bytes"]

# What a cell of tiny tables and data takes: Python, torch, the kernels, and the nets of a study.
_BASE_BYTES: Final = 600 << 20
# Estimates leave out what methods need besides (value sets, counts, the system's own copies).
_MARGIN: Final = 1.25
# Of the memory that is free when a study begins: the rest is for the runner, and for whoever else is there.
_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a cell was estimated to need.

    Attributes:
        bytes: of memory, or 0 when it was refused.
        budget_bytes: what its budget means for its tables.
        refusal: why its method does not run, such as a budget below its floor; or None.
    """

    bytes: int
    budget_bytes: int
    refusal: str | None = None


def need_of(cell: Cell, cache: Path) -> Need:
    """What a cell needs: three times the training bytes of its tables, its encoded rows, and what every cell takes.

    Three times, because a stage takes over from the stage before, and the best epoch is kept beside the present one.

    Args:
        cell: its data must be in the cache, or is put there.
        cache: folder of encoded data.
    """
    if cell.refusal is not None:
        return Need(bytes=0, budget_bytes=0, refusal=cell.refusal)
    dataset = open_data(cell.config, cache)
    try:
        check_schema(cell.config, dataset.schema)
        sizing = size_run(cell.config, dataset)
    except BudgetTooSmall as refused:
        return Need(bytes=0, budget_bytes=refused.budget_bytes, refusal=str(refused))
    except (OptionError, BudgetTextError) as refused:
        return Need(bytes=0, budget_bytes=_absolute(cell.config.budget), refusal=str(refused))
    tables = max(sizing.train_bytes for _, sizing in stages(sizing))
    encoded = sum(file.stat().st_size for file in dataset.path.iterdir() if file.is_file())
    return Need(bytes=_BASE_BYTES + encoded + int(3 * _MARGIN * tables), budget_bytes=sizing.budget_bytes)


def usable_bytes(memory: str | None = None, *, system: Path = Path("/")) -> int:
    """What all cells together may take.

    Args:
        memory: the user's word, such as ``16GiB``; None: four fifths of what is free now, within the limits of the
            container, if the process is in one.
        system: where the system's own files are, for tests.
    """
    if memory is not None:
        return Budget.parse(memory).absolute("--memory")
    free = _free(system / "proc/meminfo")
    limit, used = (_number(system / f"sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit is not None and used is not None:
        free = min(free, max(0, limit - used))
    return int(_SHARE * free)


class Admission:
    """Lets cells begin as long as their needs fit under a limit.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: dict[Any, int] = {}

    @property
    def taken(self) -> int:
        """Bytes that running cells were estimated to need."""
        return sum(self._taken.values())

    def too_large(self, need: int) -> bool:
        """Whether it would not fit even alone."""
        return need > self.limit

    def take(self, who: Any, need: int) -> bool:
        """Whether it fits beside those that run; then its bytes are taken until :meth:`give_back`."""
        if self.taken + need > self.limit:
            return False
        self._taken[who] = need
        return True

    def give_back(self, who: Any) -> None:
        """It has ended."""
        self._taken.pop(who, None)


def _absolute(budget: str | int) -> int:
    """Bytes of a budget that needs no tables to be understood, else 0."""
    return Budget.parse(budget).serve_bytes or 0


def _free(meminfo: Path) -> int:
    lines: Mapping[str, str] = dict(
        line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line
    )
    return int(lines["MemAvailable"].split()[0]) * 1024


def _number(file: Path) -> int | None:
    """What a file of the system says, None where it is not there or says "max"."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
