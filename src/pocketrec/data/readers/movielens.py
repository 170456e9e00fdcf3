"""MovieLens ratings of every release, with what the users and movies files beside them say.

Releases: 100K (``u.data``, ``u.user``, ``u.item``); 1M and 10M (``ratings.dat``, ``users.dat``, ``movies.dat``); 20M,
25M, 32M and the small one (``ratings.csv``, ``movies.csv``); and tab-separated ratings with a header, in which
``order`` may take the place of the time. `.gz` and `.zst` are read as they are.

Columns, whatever a release calls them: ``user_id``, ``movie_id``, ``rating``, ``timestamp`` (seconds since 1970) or
``order``; of the user ``gender``, ``age``, ``occupation``, ``zip``; of the movie ``title``, ``year`` (from the title)
and ``genres`` (with ``|`` between them). A user or movie that its file does not know has missing values.

Source: https://grouplens.org/datasets/movielens/ (F. M. Harper, J. A. Konstan, "The MovieLens Datasets", 2015).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import pyarrow as pa
import pyarrow.compute as pc

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.delimited import Form, delimited_blocks
from pocketrec.data.fitting import fitting_by_name
from pocketrec.data.headers import header, once, the_only
from pocketrec.data.readers import Block, Place
from pocketrec.data.side_tables import SideTable, joined, read_side_table, side_header, the_side_file
from pocketrec.data.text_blocks import PACKED, Truncated, first_line, unpacked_name
from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import Schema

__all__ = ["READER"]

_NAMES = re.compile(r"(ratings[\w.-]*\.(dat|csv|tsv)|u\.data)" + PACKED)
_RATINGS = ("user_id", "movie_id", "rating", "timestamp")
_CALLED = {"userId": "user_id", "movieId": "movie_id", "user": "user_id", "item": "movie_id"}
# The flags of u.item, in their order.
_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_FORMS = {
    "users.dat": Form(names=("user_id", "gender", "age", "occupation", "zip"), delimiter="::", quotes=False),
    "u.user": Form(names=("user_id", "age", "gender", "occupation", "zip"), delimiter="|", quotes=False),
    "movies.dat": Form(names=("movie_id", "title", "genres"), delimiter="::", quotes=False),
    "u.item": Form(names=("movie_id", "title", "release", "video", "url", *_GENRES), delimiter="|", quotes=False),
    "movies.csv": Form(names=(), delimiter=",", quotes=True),  # says itself what its columns are
}


@dataclass(frozen=True, slots=True)
class _Side:
    """What a file beside the ratings may add."""

    key: str
    files: tuple[str, ...]
    columns: tuple[str, ...]

    def beside(self, file: Path) -> Path | None:
        """The side file, if there is one."""
        return the_side_file(file.absolute().parent, f"(?:{'|'.join(map(re.escape, self.files))})" + PACKED)


_SIDES = (
    _Side("user_id", ("users.dat", "u.user"), ("gender", "age", "occupation", "zip")),
    _Side("movie_id", ("movies.dat", "movies.csv", "u.item"), ("title", "year", "genres")),
)


@final
class MovieLensReader:
    """Reads ratings, and joins the columns of users and movies that the schema names."""

    def accepts(self, name: str) -> bool:
        return _NAMES.fullmatch(name) is not None

    def blocks(self, file: Path, schema: Schema, bad: BadRows, start: Place) -> Iterator[Block]:
        wanted = [f.name for f in schema.fields]
        try:
            form, after = _form(file)
        except Truncated as damage:
            bad.file(str(file), damage.reason, 0, str(damage))
            return
        if not form.names:
            bad.file(str(file), "empty file", 0)
            return
        _check(wanted, form.names, file)
        # Faults of the side files are told once, at the beginning.
        told = bad if start == Place() else BadRows(bad.mode)
        added = set(wanted) - set(form.names)
        sides = [side for side in _SIDES if added & set(side.columns)]
        tables = [_side_table(side, file, [n for n in side.columns if n in added], told) for side in sides]
        needed = set(wanted) | {side.key for side in sides}
        own = [name for name in form.names if name in needed]
        for block in delimited_blocks(file, own, form, bad, start if start.offset else Place(offset=after)):
            yield replace(block, table=joined(block.table, tables).select(wanted))

    def fitting(self, file: Path, schema: Schema, forms: Sequence[Schema]) -> Schema:
        try:
            form, _ = _form(file)
        except Truncated:
            return schema
        added = {name for side in _SIDES if side.beside(file) for name in side.columns}
        return fitting_by_name(once(form.names) | added, forms)

    def companions(self, file: Path, schema: Schema) -> tuple[Path, ...]:
        wanted = {f.name for f in schema.fields}
        found = [side.beside(file) for side in _SIDES if wanted & set(side.columns)]
        return tuple(beside for beside in found if beside is not None)

    def origin(self, name: str) -> str | None:
        side = next((side for side in _SIDES if name in side.columns), None)
        return None if side is None else f"the column of {' or '.join(side.files)}, by {side.key}"


def _form(file: Path) -> tuple[Form, int]:
    """How the ratings are written, and the offset of the first of them."""
    name = unpacked_name(file.name)
    if name.endswith((".csv", ".tsv")):
        delimiter = "," if name.endswith(".csv") else "\t"
        names, after = header(file, delimiter)
        return Form(names=tuple(_CALLED.get(n, n) for n in names), delimiter=delimiter, quotes=delimiter == ","), after
    delimiter = "::" if name.endswith(".dat") else "\t"
    columns = first_line(file)[0].count(delimiter.encode()) + 1
    # Pairs to be predicted have no rating and no time.
    return Form(names=_RATINGS[:columns] if columns > 1 else _RATINGS, delimiter=delimiter, quotes=False), 0


def _check(wanted: Sequence[str], own: Sequence[str], file: Path) -> None:
    for name in wanted:
        if own.count(name) == 1:
            continue
        side = next((side for side in _SIDES if name in side.columns), None)
        if side is None:
            hint = " The schema movielens_ordered takes the order in place of the time." if "order" in own else ""
            raise SchemaError(f"{file}: there is no one column {name!r}. Columns: {', '.join(own)}.{hint}")
        if side.beside(file) is None:
            raise SchemaError(
                f"{file}: the column {name!r} comes from {' or '.join(side.files)} beside this file, and there is none."
                " Put the file there, or take the column out of the schema."
            )


def _side_table(side: _Side, file: Path, wanted: Sequence[str], bad: BadRows) -> SideTable:
    beside = side.beside(file)
    assert beside is not None, "_check looked"
    form, after = _FORMS[unpacked_name(beside.name)], 0
    if not form.names:
        names, after = side_header(beside, form.delimiter)
        form = replace(form, names=tuple(_CALLED.get(n, n) for n in names))
        the_only([side.key, "title", "genres"], form.names, beside)
    own = [name for name in form.names if name in (*side.columns, *_GENRES)]
    read = delimited_blocks(beside, [side.key, *own], form, bad, Place(offset=after))
    found = read_side_table(read, key=side.key, name=side.key, columns=own, file=beside, bad=bad)
    return replace(found, table=_with_year_and_genres(found.table).select(wanted))


def _with_year_and_genres(table: pa.Table) -> pa.Table:
    """What movies have beside their titles; users as they are."""
    if "title" not in table.column_names:
        return table
    title = table["title"]
    # The year stands in brackets at the end; of series such as (1975-1979) or (2006- ) it is the first.
    year = pc.struct_field(pc.extract_regex(title, r"\((?P<year>\d{4})\D{0,3}\d{0,4}\)\s*$"), "year")
    if "genres" in table.column_names:
        genres = pc.if_else(pc.equal(table["genres"], "(no genres listed)"), "", table["genres"])
    else:
        flags = [pc.if_else(pc.equal(table[name], "1"), name, pa.scalar(None, pa.string())) for name in _GENRES]
        # The empty text in front keeps pyarrow from leaving out rows in which all are skipped.
        none = pa.array([""] * len(table), pa.string())
        genres = pc.utf8_ltrim(pc.binary_join_element_wise(none, *flags, "|", null_handling="skip"), "|")
    return pa.table({"title": title, "year": year, "genres": genres})


READER = MovieLensReader()
