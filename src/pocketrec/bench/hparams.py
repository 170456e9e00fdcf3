"""What a cell was set to and what came out, for TensorBoard's table of runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.errors import OptionError
from pocketrec.spec.result import Result

__all__ = ["add_hparams", "check_tensorboard"]

_BYTES = ("promised_bytes", "held_bytes", "file_bytes", "train_bytes", "vocabulary_bytes", "peak_rss_bytes")
_TIMES = ("ms_per_batch", "ns_per_lookup", "rows_per_s", "seconds", "cpu_seconds")


def check_tensorboard() -> None:
    """OptionError, with what to do, where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: F401
    except ImportError as missing:
        raise OptionError("TensorBoard is not installed. Run: pip install 'pocketrec[tensorboard]'") from missing


def add_hparams(folder: Path, config: RunConfig, result: Result) -> None:
    """Add one line to TensorBoard's table, beside the curves in the same folder.

    Args:
        folder: of the cell's events.
        config: all its settings; those of data, schema and split are left out.
        result: its metrics, bytes and times.
    """
    from torch.utils.tensorboard import SummaryWriter

    settings = {k: v for k, v in config.to_json().items() if k not in ("data", "schema", "split")}
    measured = {f"{part}/{name}": getattr(metrics, name)
                for part, metrics in (("validation", result.validation), ("test", result.test)) if metrics is not None
                for name in ("auc", "logloss", "normalised_entropy", "calibration")}  # fmt: skip
    measured |= {f"cell/{name}": getattr(result, name) for name in (*_BYTES, *_TIMES, "epochs")}
    writer = SummaryWriter(str(folder))
    writer.add_hparams(_flat(settings), {name: float(v) for name, v in measured.items() if v is not None}, run_name=".")
    writer.close()


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, bool | int | float | str]:
    """By dotted key; what TensorBoard has no kind for becomes text."""
    found: dict[str, bool | int | float | str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return found
