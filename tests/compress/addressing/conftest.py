"""What the tests of addressings share: addresses of some ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from pocketrec.compress.addressing._program import Addressing
from pocketrec.native import addresses


@pytest.fixture
def found() -> Callable[..., list[list[int]]]:
    """``found(addressing, ids, parts=1, maps=None, padding=-1)``: addresses of the ids."""

    def ask(
        addressing: Addressing, ids: Sequence[int], *, parts: int = 1, maps: Tensor | None = None, padding: int = -1
    ) -> list[list[int]]:
        program = torch.tensor([addressing.program(column=0, padding=padding)])
        made = addresses(torch.tensor(ids)[:, None], program, parts=parts, maps=maps)
        return made.tolist()  # type: ignore[no-any-return]

    return ask
