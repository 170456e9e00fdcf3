"""How tables fit into bytes, before anything is trained: promised bytes per method, or the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pocketrec.cli._options import Json, Option, Storage, pairs
from pocketrec.cli._output import say, say_json, table
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.cardinalities import CARDINALITIES
from pocketrec.spec.errors import BudgetTooSmall, OptionError, UnknownName
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec

__all__ = ["command"]


def command(
    tables: Annotated[
        str, typer.Argument(help="A named public set (criteo_terabyte_uncapped ...), or a YAML/JSON file: name: rows.")
    ],
    budget: Annotated[list[str], typer.Option("--budget", "-b", help='"64MiB", "16x", "5%"; several are allowed.')],
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", help="Several are allowed.", show_default="all")
    ] = None,
    dim: Annotated[int, typer.Option(help="Numbers per vector.")] = 16,
    storage: Storage = None,
    option: Option = None,
    optimizer: Annotated[str, typer.Option(help="Whose state counts as training bytes.")] = "rowwise_adagrad",
    per_table: Annotated[bool, typer.Option("--per-table", help="Print what each table gets.")] = False,
    json: Json = False,
) -> None:
    """See the head of this file."""
    from pocketrec.compress import METHODS

    specs = _specs(tables, dim)
    options = pairs(option, "--option") | ({} if storage is None else {"storage": storage})
    answers = [
        _answer(specs, name, text, options, OptimizerSpec(name=optimizer))  # type: ignore[arg-type]
        for text in budget
        for name in method or METHODS.names()
    ]
    if json:
        say_json({"tables": len(specs), "dense_float32_bytes": dense_float32_bytes(specs), "sizings": answers})
        return
    rows = sum(t.closed_rows for t in specs)
    say(f"{len(specs)} tables, {rows:,} rows of dim {dim}: {dense_float32_bytes(specs):,} bytes in dense float32")
    say(table(_HEADINGS, [_row(a) for a in answers]))
    for note in dict.fromkeys(n for a in answers for n in a.get("notes", ())):
        say(note)
    if per_table:
        for answer in answers:
            _say_tables(answer)


_HEADINGS = ("method", "budget", "promised bytes", "unused", "vocabulary", "total", "training", "")


def _answer(
    specs: Sequence[TableSpec], method: str, budget: str, options: Mapping[str, Any], optimizer: OptimizerSpec
) -> dict[str, Any]:
    from pocketrec.compress import size

    try:
        sizing = size(specs, budget, method, optimizer=optimizer, **options)
    except BudgetTooSmall as refusal:
        return {"method": method, "budget": budget, "refused": str(refusal), "least_bytes": refusal.least_bytes}
    return {
        "method": method, "budget": budget, "budget_bytes": sizing.budget_bytes, "serve_bytes": sizing.serve_bytes,
        "unused_bytes": sizing.unused_bytes, "vocabulary_bytes": sizing.vocabulary_bytes,
        "train_bytes": sizing.train_bytes, "notes": list(sizing.notes),
        "tables": {n: {"ids": sizing.of(n).ids, **sizing.of(n).settings} for n in sizing.order},
    }  # fmt: skip


def _row(answer: Mapping[str, Any]) -> list[str]:
    if "refused" in answer:
        refusal = f"needs at least {answer['least_bytes']:,} bytes"
        return [answer["method"], answer["budget"], "refused", "", "", "", "", refusal]
    numbers = [answer[k] for k in ("serve_bytes", "unused_bytes", "vocabulary_bytes")]
    total = answer["serve_bytes"] + answer["vocabulary_bytes"]
    return [answer["method"], answer["budget"], *(f"{n:,}" for n in (*numbers, total, answer["train_bytes"])), ""]


def _say_tables(answer: Mapping[str, Any]) -> None:
    if "refused" in answer:
        return
    say(f"\n{answer['method']} at {answer['budget']}")
    for name, settings in answer["tables"].items():
        say(f"  {name}: " + ", ".join(f"{key} {value}" for key, value in settings.items()))


def _specs(text: str, dim: int) -> list[TableSpec]:
    """Tables of ranks, with one row for unknown ids besides the distinct ones."""
    if text in CARDINALITIES:
        ids = {f"C{i + 1}": n for i, n in enumerate(CARDINALITIES[text])}
    elif Path(text).is_file():
        ids = _read(Path(text))
    else:
        raise UnknownName("set of tables (nor a file)", text, CARDINALITIES)
    return [TableSpec(name=name, rows=n + 1, dim=dim, ids="rank") for name, n in ids.items()]


def _read(path: Path) -> dict[str, int]:
    import yaml

    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not all(isinstance(n, int) and n > 0 for n in found.values()):
        raise OptionError(f"{path}: write one table per line as name: rows, with whole numbers above 0.")
    return {str(name): n for name, n in found.items()}
