"""A seventh method costs one file and one test file. The file lies in `seventh/`, the test is the class below."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pocketrec import EmbeddingBag
from pocketrec.compress import METHODS, methods, size
from pocketrec.spec.errors import UnknownName
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract

FOLDER = str(Path(__file__).parent / "seventh")


@contextmanager
def file_is_there() -> Iterator[None]:
    """As if `seventh/head_rows.py` lay in the package's folder of methods."""
    methods.__path__.append(FOLDER)
    try:
        yield
    finally:
        methods.__path__.remove(FOLDER)


with file_is_there():
    METHOD = METHODS.get("head_rows")


class TestHeadRows(MethodContract):
    method = METHOD


def test_nothing_else_names_it() -> None:
    assert "head_rows" not in METHODS.names()
    with pytest.raises(UnknownName, match="hash_rows"):
        size([TableSpec(name="t", rows=10, dim=2)], "2x", "head_rows")


def test_with_its_file_in_place_everybody_finds_it() -> None:
    with file_is_there():
        assert METHODS.names() == sorted(METHODS.names())
        assert "head_rows" in METHODS.names()
        assert size([TableSpec(name="t", rows=10, dim=2)], "2x", "head_rows").serve_bytes == 40
        assert EmbeddingBag(100, 4, method="head_rows", budget="10x").serve_bytes == 160


def test_it_is_small() -> None:
    lines = (Path(FOLDER) / "head_rows.py").read_text().splitlines()
    assert len(lines) < 80
