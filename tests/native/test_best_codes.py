from __future__ import annotations

import sys
from typing import Literal

import pytest
import torch

from pocketrec.native import use_backend, use_threads
from pocketrec.native.best_codes import best_codes

By = Literal["distance", "product"]


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("by", ["distance", "product"])
def test_the_best_codeword_is_chosen(backend: str, by: By) -> None:
    queries, words = some(50, 3, 4), some(3, 16, 4, seed=1)
    found = best_codes(queries, words, by)
    for row, codes in zip(queries.double(), found, strict=True):
        for block, code in enumerate(codes.tolist()):
            of = words[block].double()
            scores = (of - row[block]).square().sum(1) if by == "distance" else -(of @ row[block])
            assert int(scores.argmin()) == code


@pytest.mark.parametrize("by", ["distance", "product"])
@pytest.mark.parametrize(("codewords", "block", "blocks"), [(2, 1, 16), (3, 2, 8), (256, 2, 8), (64, 5, 3)])
def test_the_kernel_chooses_what_the_reference_chooses(
    compiled: None, by: By, codewords: int, block: int, blocks: int
) -> None:
    queries, words = some(3000, blocks, block), some(blocks, codewords, block, seed=1)
    limits = torch.arange(3000) % codewords + 1
    found = best_codes(queries, words, by), best_codes(queries, words, by, limits)
    with use_backend("reference"):
        assert torch.equal(found[0], best_codes(queries, words, by))
        assert torch.equal(found[1], best_codes(queries, words, by, limits))
    with use_threads(3):
        assert torch.equal(found[1], best_codes(queries, words, by, limits))


def test_a_row_chooses_the_same_in_any_company(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, words = some(300, 2, 5), some(2, 64, 5, seed=1)
    whole = best_codes(queries, words, "distance")
    assert torch.equal(best_codes(queries[7:8], words, "distance"), whole[7:8])
    monkeypatch.setattr(sys.modules[best_codes.__module__], "_AT_ONCE", 64 * 7)
    assert torch.equal(best_codes(queries, words, "distance"), whole)


def test_of_equal_codewords_the_first_is_chosen(backend: str) -> None:
    words = torch.zeros(1, 8, 2)
    assert best_codes(some(4, 1, 2), words, "distance").flatten().tolist() == [0, 0, 0, 0]
    words[0, 6:] = 1.0
    assert best_codes(torch.ones(1, 1, 2), words, "distance").tolist() == [[6]]


def test_rows_choose_among_as_many_as_their_limit_says(backend: str) -> None:
    queries, words, few = some(80, 2, 3), some(2, 32, 3, seed=1), torch.arange(80) % 4 > 0
    found = best_codes(queries, words, "distance", torch.where(few, 8, 32))
    assert torch.equal(found[~few], best_codes(queries[~few], words, "distance"))
    assert torch.equal(found[few], best_codes(queries[few], words[:, :8], "distance"))
    assert int(found[few].max()) < 8 <= int(found.max())


def test_no_rows_choose_nothing(backend: str) -> None:
    assert best_codes(torch.empty(0, 2, 3), some(2, 8, 3), "distance").shape == (0, 2)


def test_tracing_knows_no_numbers_and_chooses_the_same() -> None:
    queries, words, limits = some(20, 2, 3), some(2, 32, 3, seed=1), torch.arange(20) % 8 + 1

    def both(rows: torch.Tensor) -> torch.Tensor:
        return best_codes(rows, words, "distance", limits) + 0 * best_codes(rows, words, "product")

    torch._dynamo.reset()
    traced = torch.compile(both, backend="aot_eager", fullgraph=True)
    assert torch.equal(traced(queries), both(queries))


def test_what_does_not_fit_is_refused(backend: str) -> None:
    queries, words = some(5, 2, 3), some(2, 8, 3)
    for wrong in (words[:1], words[:, :, :2], words[:, :0], words[0]):
        with pytest.raises(ValueError, match=r"queries must be \[n, blocks, block\]"):
            best_codes(queries, wrong, "distance")
    with pytest.raises(TypeError, match="must be float32"):
        best_codes(queries, words.half(), "distance")
    with pytest.raises(TypeError, match="limits must be int64"):
        best_codes(queries, words, "distance", torch.ones(5))
    with pytest.raises(ValueError, match=r"limits must be \[5\]"):
        best_codes(queries, words, "distance", torch.ones(4, dtype=torch.int64))
