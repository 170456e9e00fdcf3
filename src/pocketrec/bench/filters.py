"""What the page's filter offers, and what each group answers to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pocketrec.bench.grouping import Group, Scene, ratio_of
from pocketrec.bench.wording import bytes_text

__all__ = ["Filter", "filter_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Choices in order of first appearance; budgets by rising bytes.

    Attributes:
        choices: title and values of each set of boxes.
        budgets: bytes, and how to call them.
        groups: for each group by its number: the place of its value in each set, and its budget in bytes.
    """

    choices: Sequence[tuple[str, Sequence[str]]]
    budgets: Sequence[tuple[int, str]]
    groups: Sequence[Sequence[int]]


def filter_of(scenes: Sequence[Scene]) -> Filter:
    """The filter of a page with these scenes."""
    asked = [(scene, group) for scene in scenes for group in scene.groups]
    values = [_values(scene, group) for scene, group in asked]
    columns = [list(dict.fromkeys(column)) for column in zip(*values, strict=True)]
    budgets: dict[int, list[Group]] = {}
    for _, group in asked:
        budgets.setdefault(group.budget_bytes, []).append(group)
    return Filter(
        choices=list(zip(("Data set", "Model", "Method", "Storage"), columns, strict=False)),
        budgets=[(b, _called(b, ratio_of(budgets[b]))) for b in sorted(budgets)],
        groups=[
            [*(column.index(value) for column, value in zip(columns, own, strict=True)), group.budget_bytes]
            for own, (_, group) in zip(values, asked, strict=True)
        ],
    )


def _values(scene: Scene, group: Group) -> tuple[str, str, str, str]:
    return scene.data, scene.model, group.series.method, group.series.storage


def _called(budget_bytes: int, ratio: str) -> str:
    size = bytes_text(budget_bytes)
    return f"{size} ({ratio})" if ratio else size
