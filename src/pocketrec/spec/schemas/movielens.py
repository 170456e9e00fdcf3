"""MovieLens, every release: a rating of 4 or more is a click; the movie's year and genres; ordered by time."""

from __future__ import annotations

from pocketrec.spec.schema import Field, Schema

__all__ = ["SCHEMA"]

SCHEMA = Schema(
    format="movielens",
    user="user_id",
    fields=(
        Field(name="rating", kind="label", threshold=4),
        Field(name="timestamp", kind="time"),
        Field(name="user_id", kind="categorical"),
        Field(name="movie_id", kind="categorical"),
        Field(name="year", kind="categorical"),
        Field(name="genres", kind="categorical", many=True),
    ),
)
