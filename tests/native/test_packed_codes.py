from __future__ import annotations

import pytest
import torch

from pocketrec.native import Kind, addresses, program_row
from pocketrec.native.packed_codes import packed_words


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("parts", [1, 3, 4])
def test_every_id_reads_the_codes_that_were_written(backend: str, bits: int, parts: int) -> None:
    draw = torch.Generator().manual_seed(bits)
    narrow = max(1, bits - 2)
    first, rest = (torch.randint(2**b, (n, parts), generator=draw) for b, n in ((bits, 37), (narrow, 60)))
    words = packed_words([(first, bits), (rest, narrow)])
    assert len(words) == -(-(37 * bits + 60 * narrow) * parts // 32), "nothing between them, and no word behind"
    row = program_row(
        kind=Kind.PACKED_CODES, size=1 + (2 * parts << bits), a=2, n=37, r=97, t=bits, u=narrow, **{"global": 1}
    )
    found = addresses(torch.arange(100)[:, None], torch.tensor([row]), parts=parts, maps=torch.cat((words[:1], words)))
    codes = torch.cat((first, rest, first[:1].expand(3, -1)))
    row_start = torch.arange(parts) << bits
    assert torch.equal(found, 1 + 2 * (row_start + codes)), "p is 1 unless it is said"


def test_many_codes_are_packed_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = torch.randint(2**11, (500, 3), generator=torch.Generator().manual_seed(0))
    whole = packed_words([(codes, 11)])
    monkeypatch.setattr("pocketrec.native.packed_codes._CODES_AT_ONCE", 7)
    assert torch.equal(packed_words([(codes, 11)]), whole)


@pytest.mark.parametrize("code", [-1, 8])
def test_codes_that_their_bits_cannot_hold_are_refused(code: int) -> None:
    with pytest.raises(ValueError, match=r"codes must lie in 0\.\.7"):
        packed_words([(torch.tensor([[code]]), 3)])


def test_no_codes_are_no_words() -> None:
    assert packed_words([]).shape == (0,)
    assert packed_words([(torch.empty(0, 2, dtype=torch.int64), 5)]).shape == (0,)
