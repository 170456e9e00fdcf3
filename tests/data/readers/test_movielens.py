from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.fitting import INPUTS, only
from pocketrec.data.readers import READERS, Place
from pocketrec.data.scan import scan
from pocketrec.spec.errors import BadFile, BadRow, SchemaError
from pocketrec.spec.schema import Field, Schema
from pocketrec.spec.schemas import SCHEMAS
from pocketrec.testing.reader_contract import ReaderContract

READER = READERS.get("movielens")
USERS = SCHEMAS.get("movielens_users")
MOVIES = SCHEMAS.get("movielens")
GENRES = ["Comedy", "Sci-Fi", "War"]


def title(movie: int) -> str:
    return f"Café, No. {movie} ({1950 + movie})"


def genres(movie: int) -> list[str]:
    return GENRES[: movie % 4]


def rating(n: int) -> tuple[int, int, int, int]:
    """User, movie, stars, time; user 6 and movie 12 are not in the side files."""
    return n % 7, n % 13, n % 5 + 1, 978_300_000 + n


def expected(rows: int, *, users: bool) -> list[tuple[Any, ...]]:
    found = []
    for n in range(rows):
        user, movie, stars, time = rating(n)
        row: tuple[Any, ...] = (str(stars), str(time), str(user), str(movie))
        row += (str(1950 + movie), "|".join(genres(movie))) if movie < 12 else (None, None)
        if users:
            row += ("FM"[user % 2], str(20 + user), str(user * 2), f"0{user}") if user < 6 else (None,) * 4
        found.append(row)
    return found


class _Contract(ReaderContract):
    reader = READER
    packings = ("", ".gz", ".zst")
    delimiter = "::"
    header = ""

    def sides(self, folder: Path) -> None:
        raise NotImplementedError

    def rows(self, rows: int) -> list[tuple[Any, ...]]:
        return expected(rows, users=self.schema == USERS)

    def write(self, path: Path, rows: int) -> None:
        path.write_text(self.header + "".join(self.delimiter.join(map(str, rating(n))) + "\n" for n in range(rows)))
        self.sides(path.parent)

    def spoil(self, path: Path, row: int) -> bool:
        lines = path.read_text().splitlines(keepends=True)
        lines[row - (0 if self.header else 1)] = self.delimiter.join("12345") + "\n"
        path.write_text("".join(lines))
        return True


class TestOneMillion(_Contract):
    schema = USERS
    name = "ratings.dat"
    encoding = "latin-1"

    def sides(self, folder: Path) -> None:
        users = "".join(f"{u}::{'FM'[u % 2]}::{20 + u}::{u * 2}::0{u}\n" for u in range(6))
        (folder / "users.dat").write_text(users)
        movies = "".join(f"{m}::{title(m)}::{'|'.join(genres(m))}\n" for m in range(12))
        (folder / "movies.dat").write_text(movies, encoding=self.encoding)


class TestTenMillion(TestOneMillion):
    schema = MOVIES
    encoding = "utf-8"


class TestHundredThousand(_Contract):
    schema = USERS
    name = "u.data"
    delimiter = "\t"

    def sides(self, folder: Path) -> None:
        users = "".join(f"{u}|{20 + u}|{'FM'[u % 2]}|{u * 2}|0{u}\n" for u in range(6))
        (folder / "u.user").write_text(users)
        known = ["unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
                 "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War",
                 "Western"]  # fmt: skip
        flags = ["|".join("1" if g in genres(m) else "0" for g in known) for m in range(12)]
        movies = "".join(f"{m}|{title(m)}|01-Jan-1995||http://example.org|{flags[m]}\n" for m in range(12))
        (folder / "u.item").write_text(movies, encoding="latin-1")


class TestTwentyMillion(_Contract):
    schema = MOVIES
    name = "ratings.csv"
    delimiter = ","
    header = "userId,movieId,rating,timestamp\n"

    def sides(self, folder: Path) -> None:
        lines = [f'{m},"{title(m)} ",{"|".join(genres(m)) or "(no genres listed)"}' for m in range(12)]
        (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *lines]))


class TestOrdered(TestOneMillion):
    schema = SCHEMAS.get("movielens_ordered")
    name = "ratings_ordered.tsv"
    delimiter = "\t"
    header = "user\titem\trating\torder\n"

    def rows(self, rows: int) -> list[tuple[Any, ...]]:
        return expected(rows, users=True)


def write(folder: Path, name: str = "ratings.dat", **sides: str) -> Path:
    lines = ["::".join(map(str, rating(n))) for n in range(3)]
    (folder / name).write_text("\n".join(lines) + "\n")
    for side, text in sides.items():
        (folder / f"{side}.dat").write_text(text, encoding="latin-1")
    return folder / name


@pytest.mark.parametrize(
    ("name", "taken"),
    [("ratings.dat", True), ("u.data.gz", True), ("ratings_ordered.tsv.zst", True), ("ratings.csv", True),
     ("movies.dat", False), ("users.dat", False), ("u.item", False), ("tags.csv", False), ("links.csv", False)],
)  # fmt: skip
def test_only_ratings_are_taken_from_a_folder(name: str, taken: bool) -> None:
    assert READER.accepts(name) is taken


@pytest.mark.parametrize(
    ("text", "year"),
    [("A (1999)", "1999"), ("A (B) (1999) ", "1999"), ("A (1975-1979)", "1975"), ("A (2006\u2013 )", "2006"),
     ("Apollo 13", None), ("1984", None)],
)  # fmt: skip
def test_the_year_is_that_at_the_end_of_the_title(tmp_path: Path, text: str, year: str | None) -> None:
    path = write(tmp_path)
    (tmp_path / "movies.dat").write_text(f"0::{text}::War\n", encoding="utf-8")
    (block,) = READER.blocks(path, MOVIES, BadRows("fail"), Place())
    assert block.table["year"].to_pylist()[0] == year


def test_titles_are_read_in_latin_1_and_many_genres_are_a_bag(tmp_path: Path) -> None:
    path = write(tmp_path, movies="0::Les Mis\xe9rables (1995)::Drama|Musical\n")
    schema = Schema(format="movielens", fields=(Field(name="title", kind="categorical"),
                                                Field(name="genres", kind="categorical", many=True)))  # fmt: skip
    (block,) = READER.blocks(path, schema, BadRows("fail"), Place())
    assert block.table["title"].to_pylist() == ["Les Misérables (1995)", None, None]
    (columns,) = scan(path, schema, BadRows("fail"))
    assert columns.n == 3


def test_a_rating_of_four_stars_is_a_click(tmp_path: Path) -> None:
    path = tmp_path / "ratings.dat"
    path.write_text("".join(f"1::2::{stars}::9\n" for stars in ("3.5", "4", "4.5", "5", "0.5")))
    (tmp_path / "movies.dat").write_text("2::A (1999)::War\n")
    (columns,) = scan(path, MOVIES, BadRows("fail"))
    assert columns.label is not None
    assert columns.label.tolist() == [0, 1, 1, 1, 0]


def test_a_side_file_that_is_not_there_is_named_with_what_it_would_give(tmp_path: Path) -> None:
    path = write(tmp_path, movies="0::A (1999)::War\n")
    with pytest.raises(
        SchemaError, match=r"column 'gender' comes from users.dat or u.user beside this file, and there"
    ):
        list(READER.blocks(path, USERS, BadRows("skip"), Place()))
    assert READER.fitting(path, USERS, [USERS, MOVIES]) == MOVIES
    assert READER.companions(path, MOVIES) == (tmp_path / "movies.dat",)
    bare = only(MOVIES, {"label"} | INPUTS)
    pairs = Schema(format="movielens", fields=tuple(f for f in bare.fields if f.name.endswith("_id")))
    assert READER.companions(path, pairs) == ()


def test_faults_of_a_side_file_are_named_there_and_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, movies="0::A (1999)::War\n1::B (1998)\n0::C (1990)::War\n")
    with pytest.raises(BadRow, match=r"movies.dat, row 2: 2 columns instead of 3"):
        list(READER.blocks(path, MOVIES, BadRows("fail"), Place()))
    monkeypatch.setattr("pocketrec.data.text_blocks.BLOCK_BYTES", 20)
    bad = BadRows("skip")
    blocks = list(READER.blocks(path, MOVIES, bad, Place()))
    assert bad.counts == {"2 columns instead of 3": 1, "file: a key that stands twice": 1}
    assert [y for b in blocks for y in b.table["year"].to_pylist()] == ["1999", None, None]
    list(READER.blocks(path, MOVIES, bad, blocks[0].after))
    assert sum(bad.counts.values()) == 2
    (tmp_path / "movies.dat").write_text("")
    with pytest.raises(BadFile, match=r"movies.dat: empty file"):
        list(READER.blocks(path, MOVIES, BadRows("fail"), Place()))


def test_a_movies_file_whose_header_lacks_a_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "movies.csv").write_text("movieId,itle,genres\n0,A (1999),War\n")
    with pytest.raises(SchemaError, match=r"movies.csv: the column 'title' is missing from the header"):
        list(READER.blocks(path, MOVIES, BadRows("fail"), Place()))


def test_ratings_without_times_say_which_schema_fits(tmp_path: Path) -> None:
    path = tmp_path / "ratings.tsv"
    path.write_text("user\titem\trating\torder\n1\t2\t3\t4\n")
    with pytest.raises(SchemaError, match=r"no one column 'timestamp'. .*The schema movielens_ordered takes the order"):
        list(READER.blocks(path, MOVIES, BadRows("fail"), Place()))


def test_pairs_without_a_rating_can_be_predicted(tmp_path: Path) -> None:
    path = tmp_path / "pairs.dat"
    path.write_text("1::2\n3::4\n")
    (tmp_path / "movies.dat").write_text("2::A (1999)::War\n")
    inputs = only(MOVIES, INPUTS)
    assert READER.fitting(path, MOVIES, [MOVIES, inputs]) == inputs
    (block,) = READER.blocks(path, inputs, BadRows("fail"), Place())
    assert block.table["year"].to_pylist() == ["1999", None]


def test_damage_at_the_beginning_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(gzip.compress(b"userId,movieId,rating,timestamp\n1,2,3,4\n")[:14])
    with pytest.raises(BadFile, match="truncated gzip after row 0"):
        list(READER.blocks(path, MOVIES, BadRows("fail"), Place()))
    assert READER.fitting(path, MOVIES, [MOVIES]) == MOVIES


def test_the_real_million_is_read_to_its_end(shared_data: Path) -> None:
    schema = SCHEMAS.get("movielens_ordered")
    rows = clicks = missing = 0
    for block in READER.blocks(shared_data / "ml-1m" / "ratings_ordered.tsv.gz", schema, BadRows("fail"), Place()):
        rows += len(block.rows)
        clicks += sum(value >= b"4" for value in block.table["rating"].to_pylist())
        missing += sum(block.table[name].null_count for name in ("year", "genres", "gender", "zip"))
    assert (rows, clicks, missing) == (1_000_209, 575_281, 0)
