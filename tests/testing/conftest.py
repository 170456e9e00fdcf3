"""What the tests of the suites share: a sound method with one thing broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pocketrec.compress.methods.full import Full
from pocketrec.testing.cases import Cases


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``broken(checks, name, make)``: these checks on `full`, whose attribute `name` is ``make(what it was)``."""

    def made(checks: type[Cases], name: str, make: Callable[[Any], Any]) -> Any:
        monkeypatch.setattr(Full, name, make(getattr(Full, name)))
        return type("Contract", (checks,), {"method": Full})()

    return made


@pytest.fixture
def finds(broken: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``finds(checks, name, make, check)``: the check fails on the broken method, and passes on the sound one."""

    def tried(checks: type[Cases], name: str, make: Callable[[Any], Any], check: Callable[[Any], None]) -> None:
        contract = broken(checks, name, make)
        with pytest.raises(AssertionError):
            check(contract)
        monkeypatch.undo()
        check(contract)

    return tried
