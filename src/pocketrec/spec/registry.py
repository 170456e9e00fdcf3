"""Folder: things that are found by the name of their file, and those that other packages bring.

A method, storage, model or reader is one file in one package; its name is the file's name. Nothing is imported until
it is asked for, and nothing is listed by hand: to add one, add a file. Files that begin with ``_`` and the package
``parts``, which hold what several of them need, are not things.

Another package brings one by an entry point of the group that is called after the folder, in its ``pyproject.toml``::

    [project.entry-points."pocketrec.readers"]
    taobao = "their_package.taobao:READER"
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import pkgutil
import sys
import warnings
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from types import MappingProxyType, ModuleType
from typing import Generic, TypeVar, cast

from pocketrec.spec.errors import OptionError, UnknownName

__all__ = ["Folder"]

T = TypeVar("T")


class Folder(Generic[T]):
    """The things of one kind, one per file of a package, and those of other packages.

    Args:
        package: dotted name of the package whose files are the things. Entry points of other packages stand in the
            group ``pocketrec.<last part of the name>``.
        kind: what to call one of them in errors ("method").
        attribute: the name that each file defines ("METHOD").
        aliases: other names that the literature has for some of them, each with its own name here. They are not listed.
    """

    def __init__(
        self, package: str, kind: str, attribute: str, *, aliases: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.package, self.kind, self.attribute, self.aliases = package, kind, attribute, aliases
        self.group = f"pocketrec.{package.rpartition('.')[2]}"
        self._extra: dict[str, T] = {}

    def names(self) -> list[str]:
        """All names, sorted, without importing any of the files or of the other packages."""
        return sorted(self._files() | set(self._plugins()) | set(self._extra))

    def get(self, name: str) -> T:
        """The thing of this name.

        Raises:
            UnknownName: nothing is called so; the nearest names are offered.
            OptionError: another package brings it, but cannot be imported.
        """
        name = self.aliases.get(name, name)
        if name in self._extra:
            return self._extra[name]
        plugins = self._plugins()
        if name in self._files():
            return cast(T, getattr(_module(f"{self.package}.{name}"), self.attribute))
        if name not in plugins:
            raise UnknownName(self.kind, name, [*self.names(), *self.aliases])
        try:
            return cast(T, plugins[name].load())
        except (ImportError, AttributeError) as wrong:
            raise OptionError(
                f"The {self.kind} {name!r} of {_origin(plugins[name])} cannot be loaded: {wrong}. "
                "Update that package, or uninstall it."
            ) from wrong

    def add(self, name: str, thing: T) -> None:
        """Make a thing from elsewhere known (a test's method, a plug-in). The folder wins a clash, loudly."""
        if name in self.names() and self._extra.get(name) is not thing:
            raise ValueError(f"There is a {self.kind} called {name!r} already.")
        self._extra[name] = thing

    def _files(self) -> frozenset[str]:
        return _files_in(tuple(_module(self.package).__path__))

    def _plugins(self) -> dict[str, EntryPoint]:
        """What other packages bring, by name. The folder wins a clash, and so does the first package, loudly."""
        taken = self._files()
        found: dict[str, EntryPoint] = {}
        for point in _entry_points(self.group):
            if point.name in taken or point.name in found:
                winner = _origin(found[point.name]) if point.name in found else "pocketrec"
                warnings.warn(
                    f"{_origin(point)} brings a {self.kind} called {point.name!r}, which {winner} has already: "
                    f"that of {winner} is used. Rename the other, or uninstall its package.",
                    RuntimeWarning,
                    stacklevel=3,
                )
            else:
                found[point.name] = point
        return found


def _module(name: str) -> ModuleType:
    """By its dotted name; importing anew is slow even of what is there, and a sizing asks thousands of times."""
    return sys.modules.get(name) or importlib.import_module(name)


@functools.cache
def _files_in(folders: tuple[str, ...]) -> frozenset[str]:
    """Names of the things of some folders; read once, for they are asked for thousands of times."""
    modules = {module.name for module in pkgutil.iter_modules(folders)}
    return frozenset(name for name in modules if not name.startswith("_") and name != "parts")


@functools.cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Of all installed packages, read once per process; in the order of their packages' names."""
    return tuple(sorted(importlib.metadata.entry_points(group=group), key=lambda point: (point.name, _origin(point))))


def _origin(point: EntryPoint) -> str:
    return "another package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
