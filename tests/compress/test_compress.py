"""The front door of the package: size and join."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pocketrec.compress
from pocketrec.compress import METHODS, join, size
from pocketrec.compress.methods.robe import Robe
from pocketrec.spec.errors import BudgetTooSmall, OptionError, UnknownName
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec

A, B = TableSpec(name="a", rows=100, dim=4), TableSpec(name="b", rows=300, dim=4)


def test_the_methods() -> None:
    known = {"full", "hash_rows", "min_count", "narrow", "quotient_remainder", "robe", "lma", "bloom", "offline_split"}
    assert known <= set(METHODS.names())


def test_a_method_by_name_or_by_value() -> None:
    by_name = size([A, B], "10x", "robe", block=2)
    assert by_name == size([A, B], "10x", Robe(block=2)) == size([A, B], "10x", Robe(), block=2)
    assert by_name.groups[0].options["block"] == 2


def test_what_is_unknown_is_named() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'robe'"):
        size([A], "1x", "rob")
    with pytest.raises(OptionError, match=r"robe has no option 'blok'.*block"):
        size([A], "1x", "robe", blok=2)
    with pytest.raises(UnknownName, match="Did you mean 'int8'"):
        size([A], "1x", "robe", storage="int9")


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ([], "no tables"),
        ([A, A], "distinct"),
        ([A, TableSpec(name="c", rows=3, dim=8)], r"one dim, got \[4, 8\]"),
    ],
)
def test_tables_that_do_not_go_together_are_refused(tables: list[TableSpec], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        size(tables, "1x")


def test_join_puts_methods_side_by_side() -> None:
    joined = join([size([A], "1x"), size([B], "10x", "robe")], ["b", "a"], "2x")
    assert joined.order == ("b", "a")
    assert joined.budget_bytes == 3200
    assert joined.serve_bytes == 1600 + 480
    assert joined.method == "full+robe"


def test_join_keeps_to_the_budget_and_to_one_optimizer() -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        join([size([A], "1x"), size([B], "1x")], ["a", "b"], "2x")
    assert caught.value.least_bytes == 6400
    other = size([B], "1x", optimizer=OptimizerSpec(name="sgd"))
    with pytest.raises(OptionError, match="one optimizer"):
        join([size([A], "1x"), other], ["a", "b"], "1x")
    with pytest.raises(OptionError, match="every table"):
        join([size([A], "1x"), size([B], "1x")], ["a"], "1x")


def test_sizing_needs_no_torch() -> None:
    program = (
        "import sys; from pocketrec.compress import METHODS, size; from pocketrec.spec.table import TableSpec\n"
        "t = [TableSpec(name='t', rows=10**6, dim=8, ids='rank')]\n"
        "[size(t, '1x', name) for name in METHODS.names()]\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_functions_are_not_hidden_by_the_modules_of_their_names() -> None:
    program = (
        "import pocketrec.compress.embedding_bag, types, pocketrec.compress as c\n"
        "assert isinstance(c.build, types.FunctionType) and isinstance(c.freeze, types.FunctionType)\n"
        "from pocketrec.compress import build, freeze\n"
        "assert build is c.build and freeze is c.freeze\n"
        "from pocketrec.compress.build import ALIGNMENT"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_public_names() -> None:
    assert set(pocketrec.compress.__all__) == {
        "METHODS", "Bank", "Method", "attach", "build", "freeze", "join", "layout", "of", "restart", "settled", "size",
        "stages",
    }  # fmt: skip
    for name in pocketrec.compress.__all__:
        assert getattr(pocketrec.compress, name) is not None
    with pytest.raises(AttributeError, match="'no_such'"):
        pocketrec.compress.no_such  # noqa: B018
