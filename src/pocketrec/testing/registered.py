"""Make a method known for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pocketrec.compress.method import METHODS, Method

__all__ = ["registered"]


@contextmanager
def registered(*methods: type[Method]) -> Iterator[None]:
    """Inside the ``with`` these methods are found by their names, afterwards no longer."""
    added = [m for m in methods if m.name not in METHODS.names()]
    for method in methods:
        if METHODS.names().count(method.name) == 0:
            METHODS.add(method.name, method)
        _same(method)
    try:
        yield
    finally:
        for method in added:
            METHODS._extra.pop(method.name)


def _same(method: type[Method]) -> None:
    """Refuse to run tests of one method on another of its name."""
    if METHODS.get(method.name) is not method:
        raise ValueError(f"There is another method called {method.name!r} already.")
