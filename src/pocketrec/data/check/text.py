"""A check of a log as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pocketrec.data.check.check import Check
from pocketrec.data.check.column import ColumnCheck

__all__ = ["check_text"]

_RATIO = 16
_TOKEN_HEADINGS = ("categorical", "ids", "missing", "distinct", "top 1", "top 10", "once", "values per row")
_NUMBER_HEADINGS = ("number", "kind", "missing", "low", "mean", "std", "high")


def check_text(found: Check) -> str:
    """What was found, in paragraphs: files, columns, bytes, then faults and findings with their next steps."""
    parts = [_files(found), *_columns(found), _tables(found), *_faults(found), *_findings(found), _verdict(found)]
    return "\n\n".join(part for part in parts if part)


def _files(found: Check) -> str:
    lines = [
        f"{f.path}: {f.bytes:,} bytes"
        + ("" if f.compression == "none" else f", {f.compression}")
        + f", {f.rows:,} rows"
        for f in found.files
    ]
    positives = "" if found.positives_fraction is None else f", {found.positives_fraction:.2%} positive"
    until = "" if found.complete else " (the first ones; leave --rows out to read all)"
    bad = f", {found.bad_rows:,} bad" if found.bad_rows else ""
    return "\n".join([*lines, f"{found.rows:,} good rows{positives}{bad}{until}"])


def _columns(found: Check) -> Iterator[str]:
    tokens = [c for c in found.columns if c.kind == "categorical"]
    if tokens:
        yield _aligned(_TOKEN_HEADINGS, [_token_row(c) for c in tokens])
    numbers = [c for c in found.columns if c.kind in ("dense", "weight")]
    if numbers:
        figures = [[_figure(value) for value in (c.low, c.mean, c.std, c.high)] for c in numbers]
        about = [(c.name, c.kind, f"{c.missing_fraction:.1%}") for c in numbers]
        yield _aligned(_NUMBER_HEADINGS, [(*a, *f) for a, f in zip(about, figures, strict=True)])
    for c in found.columns:
        if c.kind == "time" and c.low is not None and c.high is not None:
            yield f"time {c.name}: from {_moment(c.low, found.clock)} to {_moment(c.high, found.clock)}"
    if found.unnamed:
        yield f"Not in the schema, so left alone: {', '.join(found.unnamed)}."


def _token_row(c: ColumnCheck) -> tuple[str, ...]:
    assert c.distinct is not None
    distinct = f"{c.distinct:,}"
    if c.distinct_error_fraction:
        distinct = f"~{distinct} +-{c.distinct_error_fraction:.1%}"
    shares = [f"{share or 0:.1%}" for share in (c.top_fraction, c.top_ten_fraction, c.singleton_fraction)]
    bag = "" if c.values_mean is None else f"{c.values_low} to {c.values_high}, mean {c.values_mean:.1f}"
    return (c.name, c.ids or "", f"{c.missing_fraction:.1%}", distinct, *shares, bag)


def _tables(found: Check) -> str:
    if not found.tables:
        return ""
    total, rows = found.dense_float32_bytes, sum(t.rows for t in found.tables)
    return (
        f"{len(found.tables)} {'table' if len(found.tables) == 1 else 'tables'}, {rows:,} rows of dim {found.dim}: "
        f"{total:,} bytes in float32 (1x); a budget of {_RATIO}x is {total // _RATIO:,} bytes"
    )


def _faults(found: Check) -> Iterator[str]:
    for fault in found.faults:
        where = "" if fault.column is None else f"column {fault.column}: "
        lines = [f"bad  {where}{fault.reason} ({_times(fault.count)})"]
        for e in fault.examples:
            shown = "" if e.value is None else f": {e.value!r}"
            lines.append(f"     {e.file}, row {e.row:,}{shown}")
        yield "\n".join([*lines, f"     next: {fault.next_step}"])


def _findings(found: Check) -> Iterator[str]:
    for f in found.findings:
        where = "" if f.column is None else f"{f.column}: "
        yield f"look {where}{f.text}\n     next: {f.next_step}"


def _verdict(found: Check) -> str:
    if not found.good and not found.rows:
        return "Not one row can be read."
    if not found.good:
        return f"{found.bad_rows:,} bad {'row' if found.bad_rows == 1 else 'rows'}; the others can be read."
    return "Every row can be read." if found.rows else "There are no rows."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _moment(value: float, clock: str | None) -> str:
    if clock == "iso8601":
        return _date(value, 1) or f"{value:,} microseconds since 1970"
    for unit, micro in (("seconds", 10**6), ("milliseconds", 10**3), ("microseconds", 1)):
        # 1990 to 2096: such numbers are hardly anything else
        if 6.3e14 <= value * micro <= 4e15:
            return f"{_figure(value)} ({_date(value, micro)} if {unit})"
    return _figure(value)


def _date(value: float, micro: int) -> str | None:
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(value * micro))
        return moment.strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:
        return None


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{int(value):,}" if value == int(value) and abs(value) < 2**53 else f"{value:.6g}"


def _aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first two to the left, the others to the right."""
    lines = [headings, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]

    def cell(i: int, text: str) -> str:
        return text.ljust(widths[i]) if i < 2 else text.rjust(widths[i])

    return "\n".join("  ".join(cell(i, text) for i, text in enumerate(line)).rstrip() for line in lines)
