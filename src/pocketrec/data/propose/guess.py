"""What each column of an unknown log probably is, with the reason: names first, then values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketrec.data.check.suspicions import threshold_of
from pocketrec.data.propose.profile import ColumnProfile
from pocketrec.spec.schema import DenseTransform, Field

__all__ = ["Guess", "guesses"]

# Names of what happened after the row was shown, the likeliest label first.
_OUTCOMES = (
    "label", "target", "click", "clicked", "is_click", "is_clicked", "y", "conversion", "converted", "is_conversion",
    "purchase", "purchased", "is_purchase", "bought", "sold", "install", "installed", "rating", "stars",
    "like", "liked", "is_like",
    "response", "watch_time", "play_time", "play_time_ms", "watch_ratio", "long_view", "finish", "follow", "is_follow",
    "comment", "is_comment", "forward", "is_forward", "hate", "is_hate", "long_watch", "is_positive",
)  # fmt: skip
_AFTERWARDS = re.compile(r".*(stay|dwell|watch|play)_?(time|ms)(_ms)?|is_profile_enter", re.IGNORECASE)
_TIME = re.compile(r"(.*_)?(time|timestamp|ts|date|datetime|hour|day|at|when)(_(ms|s|us|utc|sec))?", re.IGNORECASE)
_WEIGHT = re.compile(r"(sample_?)?weight|importance", re.IGNORECASE)
_USER = re.compile(r"(user|member|customer|visitor|viewer|client)(_?id)?|uid", re.IGNORECASE)
_ROW_ID = re.compile(r"(row|line|log|event|impression|request|session|record|sample)?_?(id|number|no|index)|order|uuid",
                     re.IGNORECASE)  # fmt: skip
_ID = re.compile(r"(.*[_ .]|)(id|code|type|category|cat|class|group|zip|zipcode|brand|model)|.*Id|.*ID|[cC]\d+")
_AMOUNT = re.compile(
    r"(.*_)?(count|cnt|num|n|number|price|age|amount|duration|length|len|size|score|rate|freq|days|seconds|ms)(_.*)?"
    r"|[iI]\d+", re.IGNORECASE,
)  # fmt: skip
_FEW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One column.

    Attributes:
        name: of the column.
        field: what it probably is; None: leave it out.
        reason: why, a phrase.
        gaps: whether words stand in the column where numbers are missing: rows with them are bad until that is mended,
            and that is no reason against the field.
    """

    name: str
    field: Field | None
    reason: str
    gaps: bool = False


def guesses(profiles: Sequence[ColumnProfile], *, must_name_all: bool) -> tuple[Guess, ...]:
    """One guess per column, in order.

    Args:
        profiles: the columns.
        must_name_all: whether the schema must name every column, as in a file without a header. What would be left out
            becomes a categorical field then, and names, which we invented, say nothing.
    """
    found: dict[str, Guess] = {}
    _add(found, _label(profiles))
    afterwards = [p for p in profiles if p.name.lower() in _OUTCOMES or _AFTERWARDS.fullmatch(p.name)]
    outcomes = [p for p in afterwards if p.name not in found]
    for p in outcomes if found else ():
        _add(found, Guess(name=p.name, field=None, reason="by its name an outcome, not known before the label"))
    _add(found, _time([p for p in profiles if p.name not in found]))
    for p in profiles:
        if p.name not in found:
            _add(found, _input(p, invented=must_name_all))
    if must_name_all:
        found = {name: guess if guess.field else _kept(guess) for name, guess in found.items()}
    found = _sharing(found, {p.name: p for p in profiles})
    return tuple(found[p.name] for p in profiles)


def is_user(guess: Guess) -> bool:
    """Whether a column is, by its name, whose row it is."""
    f = guess.field
    return f is not None and f.kind == "categorical" and not f.many and _USER.fullmatch(guess.name) is not None


def _add(found: dict[str, Guess], guess: Guess | None) -> None:
    if guess is not None:
        found[guess.name] = guess


def _label(profiles: Sequence[ColumnProfile]) -> Guess | None:
    named = {p.name.lower(): p for p in reversed(profiles) if p.look in ("whole", "number") and p.missing_fraction == 0}
    for outcome in _OUTCOMES:
        p = named.get(outcome)
        if p is not None and p.is_binary:
            return Guess(name=p.name, field=Field(name=p.name, kind="label"), reason="by its name, and it is 0 or 1")
    for outcome in _OUTCOMES:
        p = named.get(outcome)
        if p is not None and p.distinct > 1 and not np.isin(p.numbers, (0, 1)).all():
            cut = threshold_of(np.unique(p.numbers))
            return Guess(
                name=p.name, field=Field(name=p.name, kind="label", threshold=cut),
                reason=f"by its name; numbers from {cut:g} on count as 1: choose your own threshold",
            )  # fmt: skip
    binary = [p for p in profiles if p.is_binary and p.look == "whole"]
    ends = [p for p in binary if p in (profiles[0], profiles[-1])]
    if len(binary) == 1 or ends:
        p = (ends or binary)[0]
        return Guess(name=p.name, field=Field(name=p.name, kind="label"), reason="it is 0 or 1: is it the label?")
    return None


def _time(profiles: Sequence[ColumnProfile]) -> Guess | None:
    """The finest column that orders rows."""
    fit = [p for p in profiles if p.missing_fraction == 0 and (
        p.look == "time" or (p.look == "whole" and _TIME.fullmatch(p.name) and (p.rises or _is_moment(p.numbers)))
    ) and p.distinct > 1]  # fmt: skip
    if not fit:
        return None
    p = max(fit, key=lambda p: p.distinct)
    if p.look == "time":
        return Guess(name=p.name, field=Field(name=p.name, kind="time", clock="iso8601"), reason="dates or moments")
    return Guess(name=p.name, field=Field(name=p.name, kind="time"), reason="by its name and numbers; it orders rows")


def _is_moment(numbers: np.ndarray) -> bool:
    """Seconds, milliseconds or microseconds since 1970 from 1990 on, or dates such as 20141021."""
    low, high = numbers.min(), numbers.max()
    return any(6.3e8 * unit <= low and high <= 4e9 * unit for unit in (1, 1e3, 1e6)) or (
        low >= 19900101 and high <= 21000101
    )


def _input(p: ColumnProfile, *, invented: bool) -> Guess:
    if p.look in ("nothing", "other"):
        what = "no value in the first rows" if p.look == "nothing" else "values of a kind that is not read"
        return Guess(name=p.name, field=None, reason=what)
    if p.distinct == 1 and p.missing_fraction == 0:
        return Guess(name=p.name, field=None, reason="the same value in every row")
    if p.stray is not None:
        reason = f"numbers but for words such as {p.stray!r}: leave these empty, to make it kind: dense"
        return Guess(name=p.name, field=Field(name=p.name, kind="categorical"), reason=reason)
    if p.look == "time":
        return Guess(name=p.name, field=None, reason="a second time; derive an hour or a weekday from it if it matters")
    if p.one_each and p.look in ("whole", "text") and (p.look == "text" or p.rises or _ROW_ID.fullmatch(p.name)):
        return Guess(name=p.name, field=None, reason="a value of its own in every row, like a row number")
    if p.look == "list":
        what = "lists" if p.separator is None else f"lists with {p.separator!r} between their elements"
        bag = Field(name=p.name, kind="categorical", many=True, separator=p.separator or "|")
        return Guess(name=p.name, field=bag, reason=what)
    if p.look == "number" and _WEIGHT.fullmatch(p.name) and p.missing_fraction == 0 and p.numbers.min() >= 0:
        return Guess(name=p.name, field=Field(name=p.name, kind="weight"), reason="by its name")
    return _number_or_token(p, invented=invented)


def _number_or_token(p: ColumnProfile, *, invented: bool) -> Guess:
    token = Field(name=p.name, kind="categorical")
    if p.look == "text":
        rare = "; mostly new ones: ids: hash63 would need no vocabulary" if p.distinct > 0.5 * p.rows >= 500 else ""
        return Guess(name=p.name, field=token, reason=f"text, {p.distinct:,} distinct tokens{rare}")
    if not invented and p.look == "whole" and (_ID.fullmatch(p.name) or _USER.fullmatch(p.name)):
        return Guess(name=p.name, field=token, reason=f"ids by name, {p.distinct:,} distinct")
    if p.look == "whole" and p.distinct <= _FEW and not _AMOUNT.fullmatch(p.name):
        return Guess(name=p.name, field=token, reason=f"only {p.distinct} different numbers")
    if p.look == "whole" and not _AMOUNT.fullmatch(p.name) and not p.heavy_tailed:
        return Guess(name=p.name, field=token, reason=f"whole numbers without a long tail, {p.distinct:,} distinct")
    transform = DenseTransform(log1p=p.heavy_tailed, standardise=True, missing_flag=p.missing_fraction > 0)
    tail = "; log1p for the long tail" if p.heavy_tailed else ""
    gaps = f"; a flag for the {p.missing_fraction:.0%} missing" if p.missing_fraction else ""
    absent = ""
    if p.absent is not None:
        absent = f"; {p.absent!r} is not read as missing, rows with it are bad: leave these values empty (null)"
    return Guess(
        name=p.name, field=Field(name=p.name, kind="dense", transform=transform), gaps=p.absent is not None,
        reason=f"numbers from {p.numbers.min():g} to {p.numbers.max():g}{tail}{gaps}{absent}",
    )  # fmt: skip


def _kept(guess: Guess) -> Guess:
    """A column that would be left out, where all must be named."""
    reason = f"{guess.reason}; without a header every column must be named"
    return Guess(name=guess.name, field=Field(name=guess.name, kind="categorical"), reason=reason)


def _sharing(found: Mapping[str, Guess], profiles: Mapping[str, ColumnProfile]) -> dict[str, Guess]:
    """Columns of text whose tokens are mostly those of an earlier one share its table."""
    result: dict[str, Guess] = dict(found)
    owners: list[ColumnProfile] = []
    for name, guess in found.items():
        f, p = guess.field, profiles[name]
        if f is None or f.kind != "categorical" or p.look not in ("text", "list") or len(p.tokens) < _FEW:
            continue
        owner = next((o for o in owners if _overlap(o.tokens, p.tokens) >= 0.5), None)
        if owner is None:
            owners.append(p)
            continue
        reason = f"{guess.reason}; the tokens of {owner.name}, so they share a table"
        result[name] = Guess(name=name, field=replace(f, table=owner.name), reason=reason)
    return result


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / min(len(one), len(other))
