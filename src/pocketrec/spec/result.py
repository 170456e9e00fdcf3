"""Result: one run as one JSON line, failures included. Reports are made from such lines alone."""

from __future__ import annotations

import fcntl
import functools
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pocketrec.spec.errors import BadFile, DataError, OptionError
from pocketrec.spec.metrics import GroupMetrics, Metrics, Progressive
from pocketrec.spec.writing import writing

if TYPE_CHECKING:
    from pydantic import ConfigDict, TypeAdapter

__all__ = ["Result", "append_result", "read_results"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run: what was asked for, what came out, what it took. What was not measured is None, never 0.

    Attributes:
        commit: of the source that ran, with ``+`` behind it when files had changed since.
        command: the command line that does it again, or "".
        data: name of the data set, with its split where that matters.
        model: name of the model.
        method: name of the method.
        options: the method's options, JSON only; those that tell apart runs of one method.
        storage: name of the storage.
        serving_precision: what the nets are held in by the model that was judged.
        budget: the budget as it was written ("16x").
        budget_bytes: what that means in bytes for these tables, 0 or more.
        promised_bytes: `serve_bytes` of the sizing.
        held_bytes: bytes of the tensors of the frozen bank.
        file_bytes: bytes of the same tensors in the artifact.
        train_bytes: parameters, shadows and optimizer state of the largest stage.
        vocabulary_bytes: raw token to encoded id.
        dense_bytes: the networks.
        table_bytes: promised bytes by table, or by the name of what several tables share; sums to `promised_bytes`.
        seed: of the run.
        epochs: how many epochs were chosen on validation.
        validation: metrics on the validation rows, of the chosen epoch, as it would serve: frozen, with nets in
            the serving precision. Lines of before November 2026 have those of the training form.
        test: metrics on the test rows.
        by_frequency: metrics on the test rows by group: head, torso, unseen.
        curve: one mapping per epoch: ``epoch`` (from 1) and any of ``train_loss``, ``validation_auc``,
            ``validation_logloss``, ``validation_auc_standard_error``, ``validation_gauc``, ...;
            and of a method that trained in several stages ``stage`` (from 1), whose last one `epochs` counts.
        progressive: how good the predictions of training rows were, each made just before the row was learned from.
        rows_per_s: training rows per second.
        ms_per_batch: median processor milliseconds of one step of training, all threads of the process: reading the
            batch, forward, backward, update.
        ns_per_lookup: processor nanoseconds of one thread per id that the frozen bank looks up, ids of the validation
            rows (of training rows where there are none) in batches as they are served.
        seconds: of the whole run.
        cpu_seconds: processor time of the whole process that ran it, all threads, start included; None where a process
            ran more than this.
        peak_rss_bytes: the most resident memory that the process had.
        tuned: settings that a study's tuning chose on validation rows, by dotted key; {} for a run as it was written.
        skipped: why there was no run, or None. A skipped run has no metrics.
        failed: whether `skipped` is no refusal of the method but an accident (killed, out of memory, not finite, above
            the memory limit), which may go well another time.
        notes: sentences to print.
        warnings: what the numbers warn of, as it was said when the run ended; see `pocketrec.metrics.early_warnings`.
    """

    # For the reader of lines; it holds for the metrics within too.
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid", "allow_inf_nan": False}

    commit: str
    data: str
    model: str
    method: str
    budget: str
    budget_bytes: int
    seed: int
    command: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    storage: str = "float32"
    serving_precision: str = "float32"
    promised_bytes: int | None = None
    held_bytes: int | None = None
    file_bytes: int | None = None
    train_bytes: int | None = None
    vocabulary_bytes: int | None = None
    dense_bytes: int | None = None
    table_bytes: Mapping[str, int] = field(default_factory=dict)
    epochs: int | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    by_frequency: Mapping[str, GroupMetrics] = field(default_factory=dict)
    curve: tuple[Mapping[str, int | float | None], ...] = ()
    progressive: Progressive | None = None
    rows_per_s: float | None = None
    ms_per_batch: float | None = None
    ns_per_lookup: float | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_rss_bytes: int | None = None
    tuned: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None
    failed: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        amounts = {f.name: getattr(self, f.name) for f in fields(self) if f.name.endswith("_bytes")}
        amounts |= {f"table_bytes[{table!r}]": amount for table, amount in amounts.pop("table_bytes").items()}
        plain = ("epochs", "rows_per_s", "ms_per_batch", "ns_per_lookup", "seconds", "cpu_seconds")
        amounts |= {name: getattr(self, name) for name in plain}
        for name, amount in amounts.items():
            if amount is not None and not 0 <= amount < math.inf:
                raise OptionError(f"{name} must be 0 or more and finite, got {amount}.")
        if self.skipped is not None and (self.validation is not None or self.test is not None):
            raise OptionError(f"A run was skipped ({self.skipped}), yet it has metrics. Give one of the two.")
        if self.failed and self.skipped is None:
            raise OptionError("A run failed, yet nothing says why. Say it in skipped.")

    def to_json_line(self) -> str:
        """One line of JSON without a line break; OptionError when a value is not JSON (NaN and infinity are not)."""
        try:
            return json.dumps(asdict(self), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        except (TypeError, ValueError) as wrong:
            raise OptionError(
                f"The result of {self.method} (budget {self.budget}, seed {self.seed}) is not JSON: {wrong}."
            ) from wrong

    @staticmethod
    def from_json_line(line: str | bytes) -> Result:
        """The inverse of :meth:`to_json_line`; DataError names each key that is wrong, missing or unknown."""
        from pydantic import ValidationError

        try:
            return _adapter().validate_json(line, strict=True)
        except ValidationError as wrong:
            faults = []
            for fault in wrong.errors(include_url=False, include_input=False):
                where = ".".join(map(str, fault["loc"])) or "the line"
                faults.append(f"{where}: {fault['msg'].removeprefix('Value error, ').removesuffix('.')}")
            raise DataError(f"This is not a result: {'; '.join(faults)}.") from wrong


def append_result(path: str | Path, result: Result) -> None:
    """Add one line to a file of results, whole or not at all, also when several processes do so at once.

    The folder must exist; the file is made when it does not. A last line that a killed process left half written is
    taken away first.

    Raises:
        CannotWrite: the file cannot be made there.
    """
    line = result.to_json_line().encode() + b"\n"
    with writing(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # closing the file unlocks it
        size, line = _mended(file, line)
        try:
            _write_all(file, line)
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def read_results(path: str | Path, *, growing: bool = False) -> tuple[Result, ...]:
    """All results of a file, in its order; empty lines are passed over.

    Args:
        path: the file.
        growing: whether processes may be writing to it, or may have been killed when they did: then a last line
            without its end is passed over.

    Raises:
        BadFile: names the file and the line.
    """
    results = []
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                results.append(Result.from_json_line(line))
            except DataError as wrong:
                if growing and not line.endswith(b"\n"):
                    break
                raise BadFile(str(path), f"line {number}: {wrong} Mend or remove that line.") from wrong
    return tuple(results)


@functools.cache
def _adapter() -> TypeAdapter[Result]:
    # Imported here, so that importing the nouns stays lean.
    from pydantic import TypeAdapter

    return TypeAdapter(Result)


def _mended(file: int, line: bytes) -> tuple[int, bytes]:
    """Size of the file without a half written line at its end, which is cut off; and the line to write.

    A whole line that only lacks its end, as an editor may leave it, is kept, and its end is put before the new line.
    """
    size = os.fstat(file).st_size
    if not size or os.pread(file, 1, size - 1) == b"\n":
        return size, line
    tail, start = b"", size
    while start and b"\n" not in tail:
        begin = max(0, start - (1 << 16))
        tail, start = os.pread(file, start - begin, begin) + tail, begin
    last = tail.rpartition(b"\n")[2]
    try:
        Result.from_json_line(last)
    except DataError:
        os.ftruncate(file, size - len(last))
        return size - len(last), line
    return size, b"\n" + line


def _write_all(file: int, data: bytes) -> None:
    """A write may take less than it was given (a full disk, a signal)."""
    while data:
        data = data[os.write(file, data) :]
