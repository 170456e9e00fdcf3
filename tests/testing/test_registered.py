from __future__ import annotations

import pytest

from pocketrec.compress import METHODS
from pocketrec.compress.methods.full import Full
from pocketrec.testing.methods.masked_rows import METHOD as MASKED_ROWS
from pocketrec.testing.methods.moving_rows import METHOD as MOVING_ROWS
from pocketrec.testing.registered import registered


def test_methods_are_known_inside_and_forgotten_outside() -> None:
    before = METHODS.names()
    with registered(MASKED_ROWS, MOVING_ROWS):
        assert METHODS.get("masked_rows") is MASKED_ROWS
        assert set(METHODS.names()) == {*before, "masked_rows", "moving_rows"}
        with registered(MASKED_ROWS):
            pass
        assert "masked_rows" in METHODS.names(), "only who made it known forgets it"
    assert METHODS.names() == before


def test_what_fails_inside_forgets_too() -> None:
    with pytest.raises(KeyError), registered(MASKED_ROWS):
        raise KeyError
    assert "masked_rows" not in METHODS.names()


def test_a_name_that_is_taken_is_refused() -> None:
    other = type("Other", (MASKED_ROWS,), {"name": "full"})
    with pytest.raises(ValueError, match="another method called 'full'"), registered(other):
        pass
    with registered(Full):
        assert METHODS.get("full") is Full
