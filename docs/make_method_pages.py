"""Write docs/methods: one page per method, made from its card, its options, its traits and its arithmetic.

    python docs/make_method_pages.py

The pages are committed; a test says when they are no longer what this program writes.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

from pocketrec.compress import METHODS, Method, size
from pocketrec.spec.cardinalities import CARDINALITIES
from pocketrec.spec.errors import BudgetTooSmall
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

__all__ = ["pages"]

FOLDER = Path(__file__).parent / "methods"
_HEADINGS = ("Paper", "Bytes", "Use when", "Did not help when")
_BUDGETS = ("1x", "2x", "16x", "100x", "1000x")
_DIM = 16


def pages() -> dict[str, str]:
    """The text of every page by file name."""
    methods = {name: METHODS.get(name) for name in METHODS.names()}
    return {"README.md": _index(methods), **{f"{name}.md": _page(name, kind) for name, kind in methods.items()}}


def main() -> None:
    """Write all pages, and remove those of methods that are gone."""
    FOLDER.mkdir(exist_ok=True)
    texts = pages()
    for file in FOLDER.glob("*.md"):
        if file.name not in texts:
            file.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _index(methods: dict[str, type[Method]]) -> str:
    rows = [f"| [{name}]({name}.md) | {_card(kind)[0]} |" for name, kind in methods.items()]
    return "\n".join(
        [
            "# Methods",
            "",
            "A method is a way to store tables in fewer bytes. Each page is made from the method's file by",
            "`python docs/make_method_pages.py`; edit the card there, not here.",
            "",
            "| method | what it does |",
            "| --- | --- |",
            *rows,
            "",
            "`pocketrec size TABLES --budget BUDGET` compares all of them on your tables, before anything is trained.",
            "",
            f"Other names of the literature: {_aliases()}.",
            "",
        ]
    )


def _aliases() -> str:
    named = [f"`{alias}` for `{name}`" for alias, name in METHODS.aliases.items()]
    return ", ".join(named).replace("`low_rank` for `narrow`", "`low_rank` for `narrow` with `widen`")


def _page(name: str, kind: type[Method]) -> str:
    summary, sections = _card(kind)
    sizings = _sizings(name)
    budget = next(b for b in ("16x", "2x", "1x") if isinstance(sizings[b], Sizing))
    parts = [f"# {name}", "", summary, "", "```"]
    parts += [f"pocketrec train clicks.tsv.gz --method {name} --budget {budget}", "```"]
    for heading, text in sections.items():
        parts += ["", f"## {heading}", "", textwrap.fill(text[0].upper() + text[1:], 110)]
    parts += ["", "## Options", "", *_options(kind), "", "## Traits", "", *_traits(kind)]
    parts += ["", "## In numbers", "", *_numbers(sizings)]
    return "\n".join([*parts, ""])


def _card(kind: type[Method]) -> tuple[str, dict[str, str]]:
    """The first sentence of the method's file, and the text under each heading."""
    text = inspect.getdoc(inspect.getmodule(kind)) or ""
    summary, _, rest = text.partition("\n\n")
    found = re.split(rf"^({'|'.join(_HEADINGS)}):", rest, flags=re.MULTILINE)[1:]
    sections = {h: " ".join(t.split()) for h, t in zip(found[::2], found[1::2], strict=True)}
    missing = [h for h in _HEADINGS if h not in sections]
    if missing:
        raise ValueError(f"The card of {kind.name} lacks {', '.join(missing)}.")
    return " ".join(summary.split()), {h: sections[h] for h in _HEADINGS}


def _options(kind: type[Method]) -> list[str]:
    meanings = _meanings(kind)
    rows = [
        f"| `{f.name}` | `{str(f.type).replace('|', chr(92) + '|')}` | `{_default(f)!r}` | {meanings[f.name]} |"
        for f in dataclasses.fields(kind)
    ]
    return ["Given with `--option name=value`, or as `options` of a run.", "", "| name | kind | default | meaning |",
            "| --- | --- | --- | --- |", *rows]  # fmt: skip


def _default(field: dataclasses.Field[Any]) -> Any:
    """What an option is when nobody sets it."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _meanings(kind: type[object]) -> dict[str, str]:
    """What the docstrings of the class and of those it comes from say of each option."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        _, _, attributes = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:\n")
        for name, text in re.findall(r"^    (\w+): (.+(?:\n {8,}.+)*)", attributes, flags=re.MULTILINE):
            found[name] = " ".join(text.split()).replace("``", "`").replace("|", r"\|")
    return found


def _traits(kind: type[Method]) -> list[str]:
    meanings = _meanings(type(kind.traits))
    said = {True: "yes", False: "no"}
    rows = []
    for f in dataclasses.fields(kind.traits):
        value = getattr(kind.traits, f.name)
        text = said[value] if isinstance(value, bool) else "all" if value is None else ", ".join(value)
        rows.append(f"| `{f.name}` | {text} | {_plain(meanings[f.name])} |")
    return ["| trait | | meaning |", "| --- | --- | --- |", *rows]


def _plain(text: str) -> str:
    """Without the marks of cross-references."""
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", text)


def _tables() -> list[TableSpec]:
    return [TableSpec(name=f"C{i}", rows=n + 1, dim=_DIM, ids="rank") for i, n in enumerate(CARDINALITIES["kaggle"], 1)]


def _sizings(name: str) -> dict[str, Sizing | BudgetTooSmall]:
    """What the method decides for each budget, or its refusal."""
    found: dict[str, Sizing | BudgetTooSmall] = {}
    for budget in _BUDGETS:
        try:
            found[budget] = size(_tables(), budget, name)
        except BudgetTooSmall as refusal:
            found[budget] = refusal
    return found


def _numbers(sizings: dict[str, Sizing | BudgetTooSmall]) -> list[str]:
    lines = []
    for budget, found in sizings.items():
        if isinstance(found, BudgetTooSmall):
            lines.append(f"| {budget} | refused: needs at least {found.least_bytes:,} | | |")
        else:
            amounts = (found.serve_bytes, found.vocabulary_bytes, found.train_bytes)
            lines.append(f"| {budget} | {' | '.join(f'{amount:,}' for amount in amounts)} |")
    rows = sum(table.closed_rows for table in _tables())
    return [
        f"The tables of Criteo Kaggle ({rows:,} rows, dim {_DIM}, float32, row-wise Adagrad; where counts are needed,",
        "Zipf 1.05 is assumed):", "",
        "| budget | tables, bytes | vocabulary, bytes | training, bytes |", "| --- | ---: | ---: | ---: |", *lines,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
