from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from pocketrec.spec import errors
from pocketrec.spec.errors import BadFile, BadRow, BudgetTooSmall, CannotWrite, PocketrecError, UnknownName

CAUGHT_AS = {
    "ArtifactCorrupt": ValueError,
    "ArtifactError": ValueError,
    "ArtifactVersion": ValueError,
    "BadFile": ValueError,
    "BadRow": ValueError,
    "BudgetError": ValueError,
    "BudgetTextError": ValueError,
    "BudgetTooSmall": ValueError,
    "CannotWrite": OSError,
    "DataError": ValueError,
    "IdError": IndexError,
    "NativeError": RuntimeError,
    "NotFinite": RuntimeError,
    "OptionError": ValueError,
    "PocketrecError": Exception,
    "SchemaError": ValueError,
    "TrainingError": RuntimeError,
    "UnknownName": LookupError,
}


def test_public_names_are_all_the_errors() -> None:
    assert sorted(errors.__all__) == sorted(CAUGHT_AS)
    defined = {
        name for name, thing in vars(errors).items() if isinstance(thing, type) and thing.__module__ == errors.__name__
    }
    assert defined == set(CAUGHT_AS)


@pytest.mark.parametrize("name", errors.__all__)
def test_each_is_caught_as_ours_and_as_the_builtin(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, PocketrecError)
    assert issubclass(kind, CAUGHT_AS[name])
    assert kind.__doc__


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n != "PocketrecError"])
def test_the_tree_at_the_top_of_the_file_names_each(name: str) -> None:
    assert name in (errors.__doc__ or "")


def test_a_budget_too_small_names_the_floor() -> None:
    error = BudgetTooSmall("full", 100, 160_000)
    assert (error.method, error.budget_bytes, error.least_bytes, error.what) == ("full", 100, 160_000, "serve")
    assert str(error).startswith("full needs at least 160,000 serve bytes for these tables, the budget is 100.")
    assert "Raise the budget" in str(error)
    assert "9 train bytes" in str(BudgetTooSmall("full", 1, 9, "train"))


def test_an_unknown_name_offers_the_nearest_and_all() -> None:
    error = UnknownName("method", "rob", iter(["robe", "full"]))
    assert str(error) == "No method called 'rob'. Did you mean 'robe'? Known: full, robe."
    assert error.known == ("full", "robe")
    assert str(UnknownName("model", "zzz", ["dlrm"])) == "No model called 'zzz'. Known: dlrm."


def test_a_bad_row_names_file_row_column_and_what_to_do() -> None:
    error = BadRow("day_0", 17, "C3", "'xyz' is not hexadecimal")
    assert str(error).startswith("day_0, row 17, column C3: 'xyz' is not hexadecimal.")
    assert "--bad-rows skip" in str(error)
    assert (error.file, error.row, error.column, error.why) == ("day_0", 17, "C3", "'xyz' is not hexadecimal")
    assert str(BadRow("day_0", 17, None, "39 columns, 40 expected")).startswith("day_0, row 17: 39 columns")


def test_rows_that_cannot_be_skipped_are_mended_or_left_out() -> None:
    error = BadRow("the frame", 2, "C3", "a list", skippable=False)
    assert str(error) == "the frame, row 2, column C3: a list. Mend the row, or leave it out."


EXAMPLES: dict[str, PocketrecError] = {
    "BudgetTooSmall": BudgetTooSmall("full", 100, 160_000, "train"),
    "UnknownName": UnknownName("method", "rob", ["robe", "full"]),
    "BadRow": BadRow("day_0", 17, "C3", "'xyz' is not hexadecimal", skippable=False),
    "BadFile": BadFile("day_0.gz", "ends in the middle"),
    "CannotWrite": CannotWrite("out", "it is a folder", "Choose another name"),
}
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {p}": lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", errors.__all__)
def test_each_is_copied_and_sent_between_processes_whole(name: str, way: str) -> None:
    error = EXAMPLES.get(name) or getattr(errors, name)("what is wrong, and what to do")
    error.add_note("while reading day 3")
    again = COPIES[way](error)
    assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
    assert vars(again) == vars(error)
    assert again is not error


def test_the_errors_with_constructors_of_their_own_have_an_example() -> None:
    assert {name for name in errors.__all__ if "__init__" in vars(getattr(errors, name))} == set(EXAMPLES)


def test_a_bad_file_names_the_file() -> None:
    error = BadFile("day_0.gz", "ends in the middle")
    assert (str(error), error.file, error.why) == ("day_0.gz: ends in the middle", "day_0.gz", "ends in the middle")
