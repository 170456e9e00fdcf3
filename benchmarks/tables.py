"""From result lines to tables and verdicts: what was measured, against what was claimed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measure import Bar, Case, Claim, Interval, Line

from pocketrec.metrics import paired_interval

LIMIT = "limit: "  # contestants whose names begin so do only what no program can leave out


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a bar is met; None where too few cases had both figures."""

    what: str
    met: bool | None

    def __str__(self) -> str:
        return f"{self.what}: {'not measured' if self.met is None else 'met' if self.met else 'MISSED'}"


def by_case(lines: Sequence[Line]) -> list[tuple[Case, dict[str, Line]]]:
    """The lines of each case by contestant, in order of first appearance."""
    found: dict[str, tuple[Case, dict[str, Line]]] = {}
    for line in lines:
        key = json.dumps(line["case"], sort_keys=True)
        found.setdefault(key, (line["case"], {}))[1][line["contestant"]] = line
    return list(found.values())


def ratio(lines: Mapping[str, Line], ours: str, peer: str | None) -> float | None:
    """Median over the processes of ours / peer (of ours alone without a peer); None where one of them is missing."""
    if any("each" not in lines.get(name, {}) for name in (ours, peer) if name):
        return None
    mine: list[float] = lines[ours]["each"]
    theirs: list[float] = lines[peer]["each"] if peer else [1.0] * len(mine)
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))


def difference(lines: Mapping[str, Line], ours: str, peer: str) -> float | None:
    """Ours less peer, each the median over its processes; None where one of them is missing."""
    if any("each" not in lines.get(name, {}) for name in (ours, peer)):
        return None
    return float(lines[ours]["median"] - lines[peer]["median"])


def limit_share(lines: Mapping[str, Line], ours: str) -> float | None:
    """Which part of our time the machine's limit alone would take: of several limits the greatest."""
    shares = [ratio(lines, name, ours) for name in lines if name.startswith(LIMIT)]
    known = [share for share in shares if share is not None]
    return max(known) if known else None


def verdicts(claim: Claim, lines: Sequence[Line]) -> list[Verdict]:
    """One per bar."""
    return [
        _interval_verdict(bar, claim, lines) if isinstance(bar, Interval) else _verdict(bar, claim, lines)
        for bar in claim.bars
    ]


def _interval_verdict(bar: Interval, claim: Claim, lines: Sequence[Line]) -> Verdict:
    apart = [difference(those, bar.ours, bar.peer) for _, those in by_case(lines)]
    known = [one for one in apart if one is not None]
    what = f"{bar.ours} - {bar.peer}: 95 % interval of the mean within ±{bar.within:g} {claim.unit}"
    found = paired_interval(known)
    if found is None or found.count < bar.least:
        return Verdict(f"{what} ({len(known)} cases, {bar.least} are needed)", None)
    said = f"mean {found.mean:+.5f}, interval {found.low:+.5f} to {found.high:+.5f}"
    return Verdict(
        f"{what}, measured {said} ({found.count} cases)", -bar.within <= found.low <= found.high <= bar.within
    )


def _verdict(bar: Bar, claim: Claim, lines: Sequence[Line]) -> Verdict:
    found = {}
    for case, those in by_case(lines):
        if all(case.get(key) == value for key, value in bar.where.items()):
            one = ratio(those, bar.ours, bar.peer)
            if one is not None:
                found[label(case)] = one
    where = f" [{label(dict(bar.where))}]" if bar.where else ""
    bound = f"{bar.most:.3g} x {bar.peer}" if bar.peer else shown(bar.most, claim.unit, 0)
    what = f"{bar.ours} at most {bound}{' in the median over cases' if bar.median else ''}{where}"
    if not found:
        return Verdict(what, None)
    worst = max(found, key=found.__getitem__)
    got = statistics.median(found.values()) if bar.median else found[worst]
    said = f"{got:.3f}" if bar.peer else shown(got, claim.unit, 0)
    at = "" if bar.median or len(found) == 1 else f" at {worst}"
    return Verdict(f"{what}, measured {said}{at} ({len(found)} cases)", got <= bar.most)


def label(case: Case) -> str:
    """A case in a few words."""
    return ", ".join(f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}" for key, value in case.items())


def shown(figure: float, unit: str, lookups: int) -> str:
    """A figure with its unit: nanoseconds per look-up where there are look-ups, else milli- or microseconds.

    An AUC has none; five digits, so that a difference of .001 can be judged by the eye.
    """
    if unit == "AUC":
        return f"{figure:.5f}"
    if unit == "bytes":
        return f"{figure:,.0f} bytes"
    if unit == "bytes/s":
        return f"{figure / 1e9:.1f} GB/s"
    if lookups:
        return f"{figure / lookups * 1e9:.1f} ns"
    return f"{figure * 1e3:.3g} ms" if figure >= 1e-4 else f"{figure * 1e6:.1f} µs"


def table(claim: Claim, lines: Sequence[Line]) -> str:
    """Markdown: median (lowest to highest process) of each contestant in each case; then what bars bind: ratios, or
    differences."""
    cases = by_case(lines)
    names = list(dict.fromkeys(line["contestant"] for line in lines))
    figures = [["case", *names]]
    figures += [[label(case), *(_cell(those.get(name), claim) for name in names)] for case, those in cases]
    return "\n\n".join(
        [_markdown(figures), *_ratios(claim, cases), *_differences(claim, cases), *_facts(cases), *_remarks(lines)]
    )


def _ratios(claim: Claim, cases: Sequence[tuple[Case, Mapping[str, Line]]]) -> list[str]:
    """A row per pair that a bar binds, a column per case; and which part of the time the machine's limit is."""
    rows = []
    for ours, peer in dict.fromkeys((bar.ours, bar.peer) for bar in _bars(claim) if bar.peer):
        rows.append([f"{ours} / {peer}", *(_number(ratio(those, ours, peer)) for _, those in cases)])
    for ours in dict.fromkeys(bar.ours for bar in _bars(claim)):
        shares = [limit_share(those, ours) for _, those in cases]
        if any(share is not None for share in shares):
            rows.append([f"the machine's limit / {ours}", *map(_number, shares)])
    return [_markdown([["ratio", *(label(case) for case, _ in cases)], *rows])] if rows else []


def _bars(claim: Claim) -> list[Bar]:
    return [bar for bar in claim.bars if isinstance(bar, Bar)]


def _differences(claim: Claim, cases: Sequence[tuple[Case, Mapping[str, Line]]]) -> list[str]:
    """A row per pair whose differences a bar binds, a column per case."""
    rows = []
    for bar in claim.bars:
        if isinstance(bar, Interval):
            apart = [difference(those, bar.ours, bar.peer) for _, those in cases]
            rows.append([f"{bar.ours} - {bar.peer}", *("-" if one is None else f"{one:+.5f}" for one in apart)])
    return [_markdown([["difference", *(label(case) for case, _ in cases)], *rows])] if rows else []


def _facts(cases: Sequence[tuple[Case, Mapping[str, Line]]]) -> list[str]:
    """Whatever else the processes told, case by case, as the first of them told it."""
    said = []
    for case, those in cases:
        for what, fact in next((line["facts"] for line in those.values() if line.get("facts")), {}).items():
            value = (
                ", ".join(f"{key} {part}" for key, part in fact.items()) if isinstance(fact, dict) else f"{fact:.3g}"
            )
            said.append(f"* {label(case)}: {what}: {value}")
    return ["\n".join(said)] if said else []


def _remarks(lines: Sequence[Line]) -> list[str]:
    skipped = {f"Not here: {line['contestant']}: {line['skipped']}." for line in lines if "skipped" in line}
    busy = sum(map(_disturbed, lines))
    noted = [f"{busy} of {len(lines)} figures were taken while others computed; they are marked *."] if busy else []
    return [*sorted(skipped), *noted]


def _disturbed(line: Line) -> bool:
    """Whether others computed meanwhile, and the figure is one that they change."""
    return not line.get("quiet", True) and line["unit"] != "AUC"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    if len(rows[0]) > len(rows):  # long tables are easier to read than wide ones
        rows = list(zip(*rows, strict=True))
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))


def _number(found: float | None) -> str:
    return "-" if found is None else f"{found:.2f}"


def _cell(line: Line | None, claim: Claim) -> str:
    if line is None or "skipped" in line:
        return "-"
    middle, low, high = (shown(line[which], claim.unit, claim.lookups) for which in ("median", "low", "high"))
    spread = "" if len(line["each"]) == 1 else f" ({low.split()[0]}-{high.split()[0]})"
    return f"{middle}{spread}{' *' if _disturbed(line) else ''}"
