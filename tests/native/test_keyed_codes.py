from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.native import Kind, addresses, program_row
from pocketrec.native.keyed_codes import keyed_words
from pocketrec.native.mix import mix
from pocketrec.spec.function_sizes import keyed_functions

SEED = 77


def words_of(ids: Tensor, own: int, fine: int, *, key_bits: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Functions of ids: the first `own`, the next `fine`, and all others; the codes of either."""
    keys = mix(ids, SEED)
    draw = torch.Generator().manual_seed(3)
    codes = torch.randint(256, (fine, 2), generator=draw)
    whole = torch.randint(14, (len(ids) - own - fine,), generator=draw)
    words = keyed_words(
        own=keys[:own], fine=keys[own : own + fine], fine_codes=codes, whole=keys[own + fine :], whole_codes=whole,
        bits=8, whole_bits=4, key_bits=key_bits,
    )  # fmt: skip
    return words, codes, whole


def row_of(own: int, fine: int, whole: int, *, key_bits: int = 6) -> Tensor:
    """Weights of 8 for ids without an entry, own ones, codewords of two blocks of 4, codewords of 8."""
    row = program_row(
        kind=Kind.KEYED_CODES, size=8 * (1 + own + 256 + 16), a=4, p=0, q=8, n=own, r=fine, s=whole, t=8, u=4,
        b=key_bits, seed=SEED,
    )  # fmt: skip
    return torch.tensor([row])


def test_every_id_reads_what_was_meant_for_it(backend: str) -> None:
    ids = torch.randint(2**62, (120,), generator=torch.Generator().manual_seed(1))
    words, codes, whole = words_of(ids, own=5, fine=40)
    found = addresses(ids[:, None], row_of(5, 40, 75), parts=2, maps=words)
    first = 8 * 6
    expected = torch.cat((
        8 + 8 * torch.arange(5)[:, None] + torch.tensor([0, 4]),
        first + torch.tensor([0, 1024]) + 4 * codes,
        first + 2048 + 8 * whole[:, None] + torch.tensor([0, 4]),
    ))  # fmt: skip
    assert torch.equal(found, expected)


def test_an_id_that_has_no_entry_reads_the_shared_weights_but_for_one_in_two_to_the_checked_bits(
    compiled: None,
) -> None:
    ids, others = torch.arange(2000), torch.arange(10_000, 42_000)
    for key_bits, least, most in ((4, 1770, 2230), (8, 70, 180)):  # five standard deviations around 2000 and 125
        words, *_ = words_of(ids, own=100, fine=400, key_bits=key_bits)
        found = addresses(others[:, None], row_of(100, 400, 1500, key_bits=key_bits), parts=2, maps=words)
        wrong = int((found != torch.tensor([0, 4])).any(dim=1).sum())
        assert least < wrong < most


def test_bytes_are_those_of_the_functions() -> None:
    words, *_ = words_of(torch.arange(3000), own=200, fine=800)
    sizes = keyed_functions(own=200, fine=800, whole=2000, parts=2, bits=8, whole_bits=4, key_bits=6)
    assert [(keys, bits) for keys, bits, _ in sizes] == [(3000, 10), (800, 16), (200, 8)]
    assert sum(words for _, _, words in sizes) == len(words)
    # 10, 16 and 8 bits a key, 64 slots more for each function and 2 % more for the first
    assert 4 * len(words) < (3000 * 10 + 800 * 16 + 200 * 8) / 8 * 1.06 + 64 * 34 / 8


@pytest.mark.parametrize(("codes", "whole"), [(256, 0), (0, 14)])
def test_codes_that_are_too_large_are_refused(codes: int, whole: int) -> None:
    keys = mix(torch.arange(2), SEED)
    with pytest.raises(ValueError, match="must be below 2\\*\\*"):
        keyed_words(
            own=keys[:0], fine=keys[:1], fine_codes=torch.tensor([[codes]]), whole=keys[1:],
            whole_codes=torch.tensor([whole]), bits=8, whole_bits=4, key_bits=2,
        )  # fmt: skip
