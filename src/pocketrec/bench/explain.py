"""A fit in words: what each table got and why, and the price of a byte."""

from __future__ import annotations

from collections.abc import Sequence

from pocketrec.bench.fitting import Fit
from pocketrec.compress.fit import TableChoice
from pocketrec.compress.worth import TableWorth

__all__ = ["explanation"]


def explanation(fit: Fit) -> str:
    """Markdown: a line on what was chosen, a table with a line per table, and what the words mean.

    Args:
        fit: with or without probing.
    """
    sizing, chosen = fit.sizing, fit.chosen
    lines = [
        f"# {fit.label}",
        "",
        f"{sizing.serve_bytes:,} of {sizing.budget_bytes:,} bytes, {sizing.train_bytes:,} while training, "
        f"{sizing.vocabulary_bytes:,} of vocabulary.",
        "",
    ]
    if fit.figures:
        lines += ["On validation rows, the mean over seeds:", ""]
        lines += [f"* {figure:.5f}: {label}" for label, figure in fit.figures.items()]
        lines.append("")
    if not fit.per_table:
        lines += [
            "One method holds all tables. What arithmetic would have chosen for each:",
            "",
        ]
    lines += [
        f"The price: one more KiB is expected to lower the log-loss by {_nats(1024 * chosen.price)}. All tables "
        f"together are expected to lose {_nats(chosen.nats)} of the {_nats(sum(w.nats for w in fit.worths.values()))} "
        "that their ids are worth.",
        "",
        *_table(chosen.choices, chosen.next, fit),
        "",
        "Worth is by how much the log-loss of a row falls when all ids of a table are told apart, kept the share of it "
        "that is left, lost the rest.",
    ]
    return "\n".join(lines) + "\n"


def _table(choices: Sequence[TableChoice], follow: Sequence[TableChoice | None], fit: Fit) -> list[str]:
    headings = ("table", "ids", "worth", "method", "storage", "bytes", "kept", "lost", "why not more")
    rows = [
        _row(choice, more, fit.worths[choice.table], fit.chosen.price)
        for choice, more in zip(choices, follow, strict=True)
    ]
    return ["| " + " | ".join(row) + " |" for row in (headings, ("---",) * len(headings), *rows)]


def _row(choice: TableChoice, more: TableChoice | None, worth: TableWorth, price: float) -> tuple[str, ...]:
    return (
        choice.table, f"{worth.stats.ids:,}", _nats(worth.nats), choice.method, choice.storage,
        f"{choice.nbytes:,}", f"{choice.kept:.1%}", _nats(choice.nats), _why(choice, more, price),
    )  # fmt: skip


def _why(choice: TableChoice, more: TableChoice | None, price: float) -> str:
    if more is None:
        return "nothing to gain"
    extra, saved = more.nbytes - choice.nbytes, choice.nats - more.nats
    if extra <= 0:
        return "left over bytes were spent on it"
    dear = saved / extra / price if price > 0 else 1.0
    return f"{extra:,} bytes more ({more.method} {more.storage}) would save {_nats(saved)}, {dear:.2f} of the price"


def _nats(nats: float) -> str:
    """Log-loss per row, three digits."""
    return f"{nats:.6f}" if nats >= 1e-4 else f"{nats:.1e}" if nats > 0 else "0"
