"""Value sets for tests: the form in which data gives them, from plain lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from pocketrec.spec.sizing import Sizing

__all__ = ["Sets", "some_data"]


@final
@dataclass(frozen=True)
class Sets:
    """The sets of one table's ids, as `pocketrec.data.value_sets` gives them.

    Attributes:
        of: members by id.
    """

    of: Mapping[int, Sequence[int]]

    @property
    def values(self) -> np.ndarray:
        """int64 [n], rising: ids that have a set."""
        return np.array(sorted(self.of), dtype=np.int64)

    @property
    def starts(self) -> np.ndarray:
        """int64 [n + 1]: set i is members[starts[i]:starts[i + 1]]."""
        return np.append(0, np.cumsum([len(self.of[v]) for v in sorted(self.of)])).astype(np.int64)

    @property
    def members(self) -> np.ndarray:
        """int32 [members]."""
        return np.array([m for v in sorted(self.of) for m in self.of[v]], dtype=np.int32)

    def supported(self, least: int) -> Sets:
        """Only the sets of `least` members or more."""
        return Sets({v: members for v, members in self.of.items() if len(members) >= least})


def some_data(sizing: Sizing) -> dict[str, Any]:
    """What any method may be built from, for these tables: sets of which some are alike, some empty."""
    found = {}
    for name in sizing.order:
        ids = range(min(sizing.of(name).table.rows or 0, 1000))
        found[name] = Sets({v: [v // 2, v // 2 + 1, v % 7] for v in ids if v % 3})
    return {"value_sets": found}
