from __future__ import annotations

import torch

from pocketrec.compress.computed import Asked
from pocketrec.compress.parts.codebooks import Coding, chosen_words, codings, past_the_choice, pull


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_chosen_codewords_stand_one_behind_the_other() -> None:
    words = some(2, 3, 4, 5).requires_grad_()
    numbers, codes = torch.tensor([1, 0]), torch.tensor([[0, 3, 2], [1, 1, 0]])
    found = chosen_words(words, numbers, codes)
    expected = [torch.cat([words[n, b, c] for b, c in enumerate(of)]) for n, of in ((1, (0, 3, 2)), (0, (1, 1, 0)))]
    assert torch.equal(found, torch.stack(expected))
    (gradient,) = torch.autograd.grad(found.sum(), words)
    assert float(gradient.sum()) == 30.0
    assert (gradient[1, 0, 0] == 1).all()


def test_gradients_go_past_the_choice() -> None:
    vectors, soft = some(4, 3).requires_grad_(), some(4, 3, seed=1).requires_grad_()
    found = past_the_choice(vectors, soft)
    assert torch.equal(found, vectors)
    upstream = some(4, 3, seed=2)
    for gradient in torch.autograd.grad(found, (vectors, soft), upstream):
        assert torch.equal(gradient, upstream)


def test_the_pull_is_the_mean_of_each_table_over_the_values_that_ask() -> None:
    words, queries, tables = (
        some(4, 3).requires_grad_(),
        some(4, 3, seed=1).requires_grad_(),
        torch.tensor([0, 2, 2, 0]),
    )
    counts = torch.tensor([3, 1, 2, 0])
    loss = pull(words, queries, Asked(torch.arange(4), tables, None, counts), 3)
    apart = (words - queries).square().sum(1)
    expected = 3 * apart[0] / (3 * 3) + (apart[1] + 2 * apart[2]) / (3 * 3)
    torch.testing.assert_close(loss, expected)
    once = pull(words, queries, Asked(torch.arange(4), tables, None), 3)
    torch.testing.assert_close(once, (apart[0] + apart[3]) / (2 * 3) + (apart[1] + apart[2]) / (2 * 3))
    (gradient,) = torch.autograd.grad(loss, words)
    torch.testing.assert_close(gradient[0], 2 * (words - queries)[0] / 3)
    assert not gradient[3].any()
    assert torch.autograd.grad(
        pull(words, queries, Asked(torch.arange(4), tables, None), 3), queries, allow_unused=True
    ) == (None,)


def test_nothing_pulls_nothing() -> None:
    none = torch.empty(0, dtype=torch.int64)
    assert float(pull(torch.empty(0, 3), torch.empty(0, 3), Asked(none, none, [], none), 2)) == 0.0


def test_codings_say_less_and_less_of_an_id() -> None:
    found = codings(16, 4, 8, 6)
    assert found[0] == Coding(4, 4, 8, 6)
    assert found[-1] == Coding(1, 16, 1, 1)
    assert len(found) == 3 * 8
    rare = [c.blocks * c.few_bits for c in found]
    assert rare == sorted(rare, reverse=True)
    assert found.index(Coding(1, 16, 8, 6)) < found.index(Coding(2, 8, 5, 3)), "fewer blocks of longer codewords first"
    assert {c.blocks for c in codings(6, 4, 8, 8)} == {3, 2, 1}, "three blocks of two cover six numbers"


def test_bytes_are_those_of_codes_and_codebooks() -> None:
    coding = Coding(4, 4, 8, 6)
    assert coding.weights == 4 * 256 * 4
    assert coding.words(1000, 100) == math_words(4 * (100 * 8 + 900 * 6))
    assert coding.nbytes("float32", 1000, 100) == 4 * 4096 + 4 * coding.words(1000, 100)
    assert coding.nbytes("int8", 1000, 1000) == 4096 + 8 * 64 + 4 * 1000, "a scale and a bias per 64 weights"


def math_words(bits: int) -> int:
    return (bits + 31) // 32
