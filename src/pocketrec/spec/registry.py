"""Folder: things that are found by the name of their file.

A method, storage, model or reader is one file in one package; its name is the file's name. Nothing is imported until
it is asked for, and nothing is listed by hand: to add one, add a file. Files that begin with ``_`` and the package
``parts``, which hold what several of them need, are not things.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Generic, TypeVar, cast

from pocketrec.spec.errors import UnknownName

__all__ = ["Folder"]

T = TypeVar("T")


class Folder(Generic[T]):
    """The things of one kind, one per file of a package.

    Args:
        package: dotted name of the package whose files are the things.
        kind: what to call one of them in errors ("method").
        attribute: the name that each file defines ("METHOD").
    """

    def __init__(self, package: str, kind: str, attribute: str) -> None:
        self.package, self.kind, self.attribute = package, kind, attribute
        self._extra: dict[str, T] = {}

    def names(self) -> list[str]:
        """All names, sorted, without importing any of the files."""
        folder = importlib.import_module(self.package)
        modules = {m.name for m in pkgutil.iter_modules(folder.__path__)}
        found = {name for name in modules if not name.startswith("_") and name != "parts"}
        return sorted(found | set(self._extra))

    def get(self, name: str) -> T:
        """The thing of this name; UnknownName offers the nearest."""
        if name in self._extra:
            return self._extra[name]
        if name not in self.names():
            raise UnknownName(self.kind, name, self.names())
        module: Any = importlib.import_module(f"{self.package}.{name}")
        return cast(T, getattr(module, self.attribute))

    def add(self, name: str, thing: T) -> None:
        """Make a thing from elsewhere known (a test's method, a plug-in). The folder wins a clash, loudly."""
        if name in self.names() and self._extra.get(name) is not thing:
            raise ValueError(f"There is a {self.kind} called {name!r} already.")
        self._extra[name] = thing
