"""Cards of the methods that a page is about: the docstrings of their files, as they stand there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pocketrec.compress import METHODS
from pocketrec.spec.errors import OptionError, UnknownName

__all__ = ["Card", "cards_of"]

_HEADINGS = ("Paper", "Bytes", "Use when", "Did not help when")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a method's file says of it.

    Attributes:
        method: its name on this page.
        anchor: what a link to it names; letters, digits and hyphens.
        summary: the first sentence.
        sections: heading and text.
    """

    method: str
    anchor: str
    summary: str
    sections: Sequence[tuple[str, str]]


def cards_of(methods: Iterable[str]) -> dict[str, Card]:
    """The cards by name of the method; names that this version does not know have none."""
    found: dict[str, Card] = {}
    for name in dict.fromkeys(methods):
        try:
            kind = METHODS.get(name)
        except (UnknownName, OptionError):  # a method of another version, or of a package that is not here
            continue
        text = inspect.getdoc(inspect.getmodule(kind)) or ""
        summary, _, rest = text.partition("\n\n")
        parts = re.split(rf"^({'|'.join(_HEADINGS)}):", rest, flags=re.MULTILINE)[1:]
        sections = [(h, " ".join(t.split())) for h, t in zip(parts[::2], parts[1::2], strict=True)]
        found[name] = Card(
            method=name, anchor=f"card-{len(found)}", summary=" ".join(summary.split()), sections=sections
        )
    return found
