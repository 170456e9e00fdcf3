from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pocketrec.spec.errors import OptionError
from pocketrec.spec.kinds import check_kinds


@dataclass(frozen=True, kw_only=True)
class Options:
    whole: int = 1
    share: float = 0.5
    names: tuple[str, ...] = ()
    perhaps: int | None = None

    def __post_init__(self) -> None:
        if self.whole < 0:
            raise OptionError("whole must be 0 or more.")


@pytest.mark.parametrize(
    "values", [{}, {"whole": 8}, {"share": 1}, {"names": ["a"]}, {"names": ("a", "b")}, {"perhaps": None}]
)
def test_values_of_the_right_kind_pass(values: dict[str, Any]) -> None:
    check_kinds(Options, values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"whole": "8"}, "whole: it should be a valid integer, got '8'"),
        ({"whole": 8.5}, "whole: it should be a valid integer.*got 8.5"),
        ({"whole": True}, "whole: it should be a valid integer, got True"),
        ({"share": "abc"}, "share: it should be a valid number, got 'abc'"),
        ({"names": "C1"}, "names: it should be a valid array, got 'C1'"),
        ({"whole": "8", "share": []}, "whole: .*; share: .*"),
        ({"whole": -1}, "whole must be 0 or more"),
        ({"whole": object()}, "options are plain values"),
        ({"names": ["a" * 99] * 2 + [3]}, r"names.2: it should be a valid string, got 3"),
        ({"whole": "x" * 99}, r"got 'x+ \.\.\.$"),
    ],
)
def test_values_of_another_kind_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        check_kinds(Options, values)
