"""Where results come from: what stands at the top of a page, their commits, the commands that make them again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from pocketrec.bench.tables import kept_its_word
from pocketrec.spec.result import Result

__all__ = ["broken", "commands", "counted", "facts"]


def facts(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Number and word of what stands at the top."""
    ran = [r for r in results if r.skipped is None]
    counts = [
        (len(ran), "run"),
        (len({(r.data, r.model) for r in ran}), "data set"),
        (len({r.method for r in ran}), "method"),
        (len({(r.data, r.budget_bytes) for r in ran}), "budget"),
        (len({r.seed for r in ran}), "seed"),
        (len(results) - len(ran), "skipped"),
    ]
    found = [(f"{n:,}", word if n == 1 or word == "skipped" else f"{word}s") for n, word in counts if n]
    measured = [r for r in ran if r.promised_bytes is not None and (r.held_bytes, r.file_bytes) != (None, None)]
    kept = sum(kept_its_word(r) for r in measured)
    files = all(r.file_bytes is not None for r in measured)
    equal = "promised = held = file" if files else "promised = held (= file, where one was written)"
    return [*found, (f"{kept:,} of {len(measured):,}", equal)] if measured else found


def broken(results: Sequence[Result]) -> list[str]:
    """A line for each result whose promised, held and file bytes differ."""
    return [
        f"{r.data}, {r.method} {r.storage} at {r.budget}, seed {r.seed}: "
        f"promised {r.promised_bytes}, held {r.held_bytes}, file {r.file_bytes} bytes"
        for r in results
        if not kept_its_word(r)
    ]


def commands(results: Sequence[Result]) -> list[str]:
    """Command lines in order; those that differ only by their seed on one line."""
    seeds: dict[str, list[str]] = {}
    firsts: dict[str, str] = {}
    for command in dict.fromkeys(r.command for r in results if r.command):
        seed = re.search(r"--seed[ =](\d+)", command)
        alike = re.sub(r"(--seed[ =])\d+", r"\1", command)
        firsts.setdefault(alike, command)
        seeds.setdefault(alike, []).extend([seed[1]] if seed else [])
    return [
        command if len(seeds[alike]) < 2 else f"{command}  # also with seeds {', '.join(seeds[alike][1:])}"
        for alike, command in firsts.items()
    ]


def counted(texts: Iterable[str]) -> list[tuple[str, int]]:
    """Each text once, and how often it was there."""
    return list(Counter(texts).items())
