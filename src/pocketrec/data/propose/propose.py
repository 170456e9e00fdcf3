"""A schema for an unknown file: recognised as a well-known log, or guessed column by column and tried on the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pocketrec.data.check.check import Check, check
from pocketrec.data.propose.guess import Guess, guesses, is_user
from pocketrec.data.propose.profile import profile
from pocketrec.data.propose.recognise import recognise
from pocketrec.data.propose.sniff import Form, head_lines, sample_rows, sniff
from pocketrec.data.propose.sparse import sparse_guesses
from pocketrec.spec.errors import BadFile, PocketrecError, SchemaError
from pocketrec.spec.schema import Field, Schema
from pocketrec.spec.schemas import SCHEMAS

__all__ = ["Proposal", "propose"]

_ROWS = 20_000
_FILES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A schema and why.

    Attributes:
        schema: fits the file that it was made for.
        known: the built-in schema's name, for a log that was recognised.
        why: by what it was recognised, or how the file is written.
        guesses: per column of an unknown file, left-out ones too.
        notes: what a person should decide.
    """

    schema: Schema
    known: str | None
    why: str
    guesses: tuple[Guess, ...] = ()
    notes: tuple[str, ...] = ()

    def yaml(self) -> str:
        """The schema file, with the reasons as comments."""
        if not self.guesses:
            return self.schema.to_yaml()
        plain = self.schema.to_json()
        about = {key: value for key, value in plain.items() if key != "fields"}
        fields = {f["name"]: f for f in plain["fields"]}
        width = max(len(_flow(f)) for f in fields.values())
        lines = [yaml.safe_dump(about, sort_keys=False) if about else "", "fields:\n"]
        for guess in self.guesses:
            if guess.field is None:
                lines.append(f"  # left out: {_flow(guess.name)}: {_one_line(guess.reason)}\n")
            else:
                lines.append(f"  - {_flow(fields[guess.name]):<{width}}  # {_one_line(guess.reason)}\n")
        return "".join(lines)

    def text(self) -> str:
        """For people: what it is, the schema, and what is left to decide."""
        if self.known is not None:
            return f"Known log: {self.known} ({self.why}).\nUse it with --schema {self.known}."
        return "\n".join([f"Unknown log: {self.why}. A schema for it:\n\n{self.yaml()}", *self.notes]).rstrip()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        reasons = [
            {"column": g.name, "kind": None if g.field is None else g.field.kind, "reason": g.reason}
            for g in self.guesses
        ]
        return {
            "known": self.known, "why": self.why, "schema": self.schema.to_json(), "columns": reasons,
            "notes": list(self.notes),
        }  # fmt: skip


def propose(file: str | Path) -> Proposal:
    """A schema for a file (or a folder of parts); one that was guessed has been tried on the first rows.

    Raises:
        BadFile: where there is no such file, or nothing that can be read.
        SchemaError: where no column can be an input.
    """
    path, form, known = _looked_at(Path(file))
    doubt = ""
    if known is not None:
        schema, doubt = _built_in(path, *known)
        if not doubt:
            return Proposal(schema=schema, known=known[0], why=known[1])
    sparse = None if form.format == "parquet" else sparse_guesses(head_lines(path))
    if sparse is not None:
        return _sparse(sparse, [doubt] if doubt else [])
    table = sample_rows(path, form, _ROWS)
    columns = [profile(name, table.column(name)) for name in table.column_names]
    guessed = guesses(columns, must_name_all=form.format == "csv" and not form.header)
    schema, guessed = _tried(path, form, guessed)
    notes = ([doubt] if doubt else []) + _notes(schema, form)
    return Proposal(schema=schema, known=None, why=_written(form), guesses=guessed, notes=tuple(notes))


def _sparse(guessed: tuple[Guess, ...], notes: list[str]) -> Proposal:
    schema = Schema(format="libsvm", fields=tuple(g.field for g in guessed if g.field is not None))
    why = f"a label, then pairs of index and value (or triples with a field), {len(guessed) - 1} fields"
    return Proposal(schema=schema, known=None, why=why, guesses=guessed, notes=(*notes, *_nothing_to_fit(schema)))


def _built_in(file: Path, name: str, why: str) -> tuple[Schema, str]:
    """The built-in schema of a log that was recognised; and why it does not fit this file, or ""."""
    schema = SCHEMAS.get(name).unlabelled() if "no label" in why else SCHEMAS.get(name)
    try:
        read = check(file, schema, rows=100)
    except PocketrecError as wrong:
        return schema, f"It looks like {name} ({why}), but --schema {name} does not fit: {wrong}"
    return schema, "" if read.rows else f"It looks like {name} ({why}), but no row can be read with --schema {name}."


def _looked_at(place: Path) -> tuple[Path, Form, tuple[str, str] | None]:
    """The file to look at, how it is written, and what it was recognised as: in a folder the first that was."""
    if place.is_file():
        form = sniff(place)
        return place, form, recognise(place, form)
    if not place.is_dir():
        raise BadFile(str(place), "there is no such file.")
    files = sorted(f for f in place.iterdir() if f.is_file() and not f.name.startswith((".", "_")))
    seen: list[tuple[Path, Form, None]] = []
    for file in files[:_FILES]:
        try:
            form = sniff(file)
        except BadFile:
            continue  # a licence, an image: a folder holds more than its log
        known = recognise(file, form)
        if known is not None:
            return file, form, known
        seen.append((file, form, None))
    if not seen:
        raise BadFile(str(place), "no file in this folder is Parquet or text.")
    return max(seen, key=lambda look: len(look[1].names))


def _tried(file: Path, form: Form, guessed: tuple[Guess, ...]) -> tuple[Schema, tuple[Guess, ...]]:
    """The schema after its first rows were read with it, and what did not stand the trial was changed."""
    for _ in range(3):
        schema = _schema(file, form, guessed)
        better = _mended(guessed, check(file, schema, rows=_ROWS), form)
        if better == guessed:
            break
        guessed = better
    return _schema(file, form, guessed), guessed


def _mended(guessed: tuple[Guess, ...], found: Check, form: Form) -> tuple[Guess, ...]:
    """Columns that do not read as guessed become tokens; those that give the label away are left out."""
    bad = {fault.column for fault in found.faults if fault.column is not None}
    leaks = {f.column: f.text for f in found.findings if f.kind == "leak"}
    result = []
    for guess in guessed:
        kind = None if guess.field is None else guess.field.kind
        if guess.name in bad and not guess.gaps and kind not in (None, "categorical", "label"):
            field = Field(name=guess.name, kind="categorical")
            guess = Guess(name=guess.name, field=field, reason=f"not every value is a {kind} value")
        elif guess.name in leaks and guess.field is not None and form.header:
            guess = Guess(name=guess.name, field=None, reason=leaks[guess.name].rstrip("."))
        result.append(guess)
    inputs = [g for g in result if g.field is not None and g.field.kind in ("dense", "categorical")]
    return tuple(result) if inputs else guessed


def _schema(file: Path, form: Form, guessed: tuple[Guess, ...]) -> Schema:
    fields = tuple(g.field for g in guessed if g.field is not None)
    named = {f.name for f in fields}
    # a table's owner may have been left out: the others then have tables of their own
    fields = tuple(replace(f, table=None) if f.table is not None and f.table not in named else f for f in fields)
    if not any(f.kind in ("dense", "categorical") for f in fields):
        raise SchemaError(f"{file}: no column can be an input. " + _left_out(guessed))
    user = next((g.name for g in guessed if is_user(g)), None)
    return Schema(fields=fields, format=form.format, delimiter=form.delimiter, header=form.header, user=user)


def _left_out(guessed: tuple[Guess, ...]) -> str:
    said = [f"{g.name!r}: {g.reason}" for g in guessed if g.field is None]
    return f"Left out: {'; '.join(said)}." if said else "Give at least one column besides the label."


def _written(form: Form) -> str:
    if form.format == "parquet":
        return f"Parquet, {len(form.names)} columns"
    names = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "blank"}
    header = "the first line names the columns" if form.header else "without a header"
    return f"text, {len(form.names)} columns, {names[form.delimiter]} between them, {header}"


def _notes(schema: Schema, form: Form) -> list[str]:
    notes = []
    if schema.label is None:
        notes.append(
            "No label was found. Name one to train: {name: ..., kind: label}, with a threshold unless it is 0 or 1."
        )
    if schema.time is None:
        notes.append("No column orders rows: a split by time takes them in the order of the file.")
    unnamed = sorted({name for name in form.names if form.names.count(name) > 1})
    if unnamed:
        notes.append(f"Two columns have the same name, so they are left alone: {', '.join(map(repr, unnamed))}.")
    return [*notes, *_nothing_to_fit(schema)]


def _nothing_to_fit(schema: Schema) -> list[str]:
    if schema.categorical:
        return []
    return ["No column holds tokens, so there are no tables to train: make one of them kind: categorical."]


def _flow(value: Mapping[str, Any] | str) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=2**20, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
