"""Which well-known click log a file is from, by the shape of its first lines or the names of its columns."""

from __future__ import annotations

import re
from pathlib import Path

from pocketrec.data.propose.sniff import Form, head_lines

__all__ = ["recognise"]

_CRITEO = re.compile(r"[01](\t-?\d*){13}(\t[0-9a-fA-F]{0,8}){26}")
_CRITEO_UNLABELLED = re.compile(r"-?\d*(\t-?\d*){12}(\t[0-9a-fA-F]{0,8}){26}")
_LIBFM = re.compile(r"[+-]?[01](\.0*)?( \d+:1){10} ?")
_RATINGS = re.compile(r"\d+::\d+::\d(\.5)?::\d+")
_U_DATA = re.compile(r"\d+\t\d+\t[1-5]\t\d{9}")
# Columns that a log has and others have not; all must be there.
_COLUMNS = {
    "avazu": {"click", "hour", "C1", "banner_pos", "site_id", "app_id", "device_ip", "C21"},
    "kuairand": {"user_id", "video_id", "is_click", "long_view", "tab", "hourmin"},
    "frappe": {"label", "user", "item", "daytime", "weekday", "isweekend", "homework", "weather"},
}
_RATING_COLUMNS = ({"userId", "movieId", "rating", "timestamp"}, {"user_id", "movie_id", "rating", "timestamp"})
_USERS = re.compile(r"(users\.dat|u\.user)(\.gz|\.zst)?")


def recognise(file: Path, form: Form) -> tuple[str, str] | None:
    """The name of a well-known log, and by what it was recognised; None for any other.

    Args:
        file: existing.
        form: how it is written, as `pocketrec.data.propose.sniff.sniff` found.
    """
    names = set(form.names)
    if form.header:
        for log, columns in _COLUMNS.items():
            if columns <= names:
                return log, f"it has the columns {', '.join(sorted(columns))}"
        if {"user", "item", "rating", "order"} <= names:
            return "movielens_ordered", "it has the columns user, item, rating and order"
        if any(columns <= names for columns in _RATING_COLUMNS):
            return _movielens(file), "it has the columns of its ratings"
    if form.format == "parquet":
        return None
    lines = head_lines(file, 20)
    if all(map(_CRITEO.fullmatch, lines)):
        return "criteo", "a label, 13 whole numbers and 26 hexadecimal tokens stand between tabs"
    if all(map(_CRITEO_UNLABELLED.fullmatch, lines)):
        return "criteo", "13 whole numbers and 26 hexadecimal tokens stand between tabs (there is no label)"
    if all(map(_RATINGS.fullmatch, lines)):
        return _movielens(file), "user, movie, rating and time stand between double colons"
    if all(map(_U_DATA.fullmatch, lines)):
        return _movielens(file), "user, movie, rating and time stand between tabs"
    if all(map(_LIBFM.fullmatch, lines)):
        return "frappe_libfm", "a label and ten pairs index:1 stand between blanks"
    return None


def _movielens(file: Path) -> str:
    """The releases that say who their users are have a file of them beside the ratings."""
    beside = (other.name for other in file.absolute().parent.iterdir())
    return "movielens_users" if any(map(_USERS.fullmatch, beside)) else "movielens"
