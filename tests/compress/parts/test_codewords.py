from __future__ import annotations

import torch

from pocketrec.compress.parts.codewords import codewords


def test_planted_clusters_are_found() -> None:
    draw = torch.Generator().manual_seed(1)
    centres = torch.randn(8, 4, generator=draw) * 10
    of = torch.randint(0, 8, (500,), generator=draw)
    vectors = centres[of] + 0.01 * torch.randn(500, 4, generator=draw)
    words, codes = codewords(vectors, torch.ones(500), 8, seed=0)
    assert float((words[codes] - vectors).abs().max()) < 0.1
    assert len(codes.unique()) == 8


def test_few_vectors_are_their_own_codewords() -> None:
    vectors = torch.randn(3, 2)
    words, codes = codewords(vectors, torch.ones(3), 5, seed=0)
    assert torch.equal(words[codes], vectors)
    assert torch.equal(words[3:], torch.zeros(2, 2))


def test_heavy_vectors_are_approximated_better() -> None:
    vectors = torch.randn(2000, 4, generator=torch.Generator().manual_seed(2))
    weights = torch.ones(2000)
    weights[:10] = 1e6
    words, codes = codewords(vectors, weights, 16, seed=0)
    errors = (words[codes] - vectors).square().sum(1)
    assert float(errors[:10].max()) < 1e-6 < float(errors[10:].mean())


def test_every_vector_has_the_nearest_codeword_and_all_codewords_are_used() -> None:
    draw = torch.Generator().manual_seed(3)
    vectors = torch.randn(5000, 3, generator=draw)
    words, codes = codewords(vectors, torch.rand(5000, generator=draw) + 0.1, 16, seed=1)  # more than 256 for each
    assert torch.equal(torch.cdist(vectors.double(), words.double()).argmin(dim=1), codes)
    assert len(codes.unique()) == 16
    again = codewords(vectors, torch.rand(5000, generator=torch.Generator().manual_seed(3)), 16, seed=1)[0]
    assert words.shape == again.shape
    same = [codewords(vectors, torch.ones(5000), 16, seed=4) for _ in range(2)]
    assert torch.equal(same[0][0], same[1][0])


def test_equal_vectors_do_no_harm() -> None:
    words, codes = codewords(torch.ones(100, 2), torch.ones(100), 4, seed=0)
    assert torch.equal(words[codes], torch.ones(100, 2))
