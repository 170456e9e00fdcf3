"""How tables fit into bytes, before anything is trained: promised bytes per method, or the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pocketrec.cli import _complete
from pocketrec.cli._options import Json, Option, Storage, method_options, nested
from pocketrec.cli._output import say, say_json, table
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.cardinalities import CARDINALITIES
from pocketrec.spec.errors import BudgetTooSmall, OptionError, UnknownName
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

__all__ = ["command"]


def command(
    tables: Annotated[
        str,
        typer.Argument(
            help=f"A public set ({', '.join(CARDINALITIES)}), or a YAML/JSON file with one table per line, "
            "name: distinct ids (null: nobody knows)."
        ),
    ],
    budget: Annotated[
        list[str],
        typer.Option(
            "--budget",
            "-b",
            help="Ceiling: 64MiB, 16x (times smaller than float32 tables) or 5% of them; several are allowed.",
            autocompletion=_complete.budgets,
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="Several are allowed.", show_default="all", autocompletion=_complete.methods
        ),
    ] = None,
    dim: Annotated[int, typer.Option(help="Numbers per vector.")] = 16,
    storage: Storage = None,
    option: Option = None,
    optimizer: Annotated[
        str,
        typer.Option(
            help="Whose state counts as training bytes: sgd, rowwise_adagrad, adagrad or adam.",
            autocompletion=_complete.optimizers,
        ),
    ] = "rowwise_adagrad",
    per_table: Annotated[bool, typer.Option("--per-table", help="Print what each table gets.")] = False,
    json: Json = False,
) -> None:
    """See the head of this file."""
    from pocketrec.compress import METHODS

    if option and not method:
        raise OptionError("An --option belongs to one method. Say which, such as --method robe.")
    specs = _specs(tables, dim)
    options = nested(method_options(option, storage))
    answers = [
        _answer(specs, name, text, options, OptimizerSpec(name=optimizer))  # type: ignore[arg-type]  # it checks
        for text in budget
        for name in method or METHODS.names()
    ]
    dense = None if any(t.rows is None for t in specs) else dense_float32_bytes(specs)
    if json:
        say_json({"tables": len(specs), "dense_float32_bytes": dense, "sizings": answers})
        return
    rows = f"{sum(t.rows or 0 for t in specs):,} rows" + (" and open tables" if dense is None else "")
    say(f"{len(specs)} tables, {rows} of dim {dim}" + (f": {dense:,} bytes in dense float32" if dense else ""))
    say(table(_HEADINGS, [_row(a) for a in answers]))
    for note in dict.fromkeys(n for a in answers for n in a.get("notes", ())):
        say(note)
    if per_table:
        for answer in answers:
            _say_tables(answer)


_HEADINGS = ("method", "storage", "budget", "promised bytes", "unused", "vocabulary", "total", "training", "")


def _answer(
    specs: Sequence[TableSpec], method: str, budget: str, options: Mapping[str, Any], optimizer: OptimizerSpec
) -> dict[str, Any]:
    from pocketrec.compress import of, size

    chosen = of(method, options)
    asked = {"method": method, "storage": chosen.storage, "budget": budget}
    if any(t.ids not in chosen.traits.ids for t in specs):
        return {**asked, "refused": f"{method} cannot hold open tables.", "least_bytes": None}
    try:
        sizing = size(specs, budget, method, optimizer=optimizer, **options)
    except BudgetTooSmall as refusal:
        return {**asked, "refused": str(refusal), "least_bytes": refusal.least_bytes}
    return {
        **asked, "budget_bytes": sizing.budget_bytes, "serve_bytes": sizing.serve_bytes,
        "unused_bytes": sizing.unused_bytes, "vocabulary_bytes": sizing.vocabulary_bytes,
        "train_bytes": sizing.train_bytes, "notes": list(sizing.notes),
        "tables": {n: _table(sizing, n) for n in sizing.order},
    }  # fmt: skip


def _table(sizing: Sizing, name: str) -> dict[str, Any]:
    """What one table gets: its ids and the settings of the method; and by its name those of every one that joins it."""
    found: dict[str, Any] = {"ids": sizing.of(name).ids}
    for group in sizing.groups:
        for sized in group.tables:
            if sized.table.name == name:
                found |= sized.settings if group.joins == "alone" else {group.method: dict(sized.settings)}
    return found


def _row(answer: Mapping[str, Any]) -> list[str]:
    first = [answer["method"], answer["storage"], answer["budget"]]
    if "refused" in answer:
        floor = answer["least_bytes"]
        refusal = answer["refused"] if floor is None else f"needs at least {floor:,} bytes"
        return [*first, "refused", "", "", "", "", refusal]
    numbers = [answer[k] for k in ("serve_bytes", "unused_bytes", "vocabulary_bytes")]
    total = answer["serve_bytes"] + answer["vocabulary_bytes"]
    return [*first, *(f"{n:,}" for n in (*numbers, total, answer["train_bytes"])), ""]


def _say_tables(answer: Mapping[str, Any]) -> None:
    if "refused" in answer:
        return
    say(f"\n{answer['method']} at {answer['budget']}")
    for name, settings in answer["tables"].items():
        say(f"  {name}: " + ", ".join(_said(key, value) for key, value in settings.items()))


def _said(key: str, value: Any) -> str:
    """A setting in words; what a method that joins has decided stands in brackets."""
    if not isinstance(value, Mapping):
        return f"{key} {value}"
    return f"{key} ({', '.join(_said(*item) for item in value.items()) or 'shared'})"


def _specs(text: str, dim: int) -> list[TableSpec]:
    """Tables of ranks, with one row for unknown ids besides the distinct ones; open tables take hashes."""
    ids: Mapping[str, int | None]
    if text in CARDINALITIES:
        ids = {f"C{i + 1}": n for i, n in enumerate(CARDINALITIES[text])}
    elif Path(text).is_file():
        ids = _read(Path(text))
    else:
        raise UnknownName("set of tables (nor a file)", text, CARDINALITIES)
    return [
        TableSpec(name=name, rows=n + 1, dim=dim, ids="rank") if n else TableSpec(name=name, rows=None, dim=dim,
                                                                                    ids="hash63")
        for name, n in ids.items()
    ]  # fmt: skip


def _read(path: Path) -> dict[str, int | None]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as wrong:
        raise OptionError(
            f"{path}: this is not YAML: {' '.join(str(wrong).split())}. "
            "Write one table per line as name: distinct ids; how many a log has, `pocketrec stats` says."
        ) from wrong
    if not isinstance(found, dict) or not found:
        raise OptionError(f"{path}: write one table per line as name: distinct ids.")
    for name, n in found.items():
        if n is not None and (type(n) is not int or n < 1):
            raise OptionError(f"{path}: {name}: {n!r} is not a whole number above 0 (nor null, for an open table).")
    return {str(name): n for name, n in found.items()}
