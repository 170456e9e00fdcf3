from __future__ import annotations

import pytest
import torch

from pocketrec.native import use_backend, use_threads
from pocketrec.native.hash_features import BUCKETS, Features, hash_features

IDS = torch.cat([torch.arange(3000), torch.arange(1, 3001) * 2**32, 2**62 + torch.arange(3000)])


@pytest.mark.parametrize("features", ["uniform", "normal", "sign"])
@pytest.mark.parametrize(("count", "seed"), [(2, 0), (256, 5), (34, 2**63 - 1)])
def test_the_kernel_gives_what_the_reference_gives(features: Features, count: int, seed: int) -> None:
    ids = torch.cat([IDS, torch.tensor([-1, -(2**63), 2**63 - 1])])
    found = hash_features(ids[::2], seed, count, features)
    with use_backend("reference"):
        assert torch.equal(found, hash_features(ids[::2], seed, count, features))
    with use_threads(3):
        assert torch.equal(found, hash_features(ids[::2], seed, count, features))


def test_a_compiler_sees_plain_torch() -> None:
    traced = torch.export.export(_Signs(), (IDS,)).module()
    assert "pocketrec" not in str(traced.graph)
    assert torch.equal(traced(IDS), hash_features(IDS, 5, 8, "sign"))


class _Signs(torch.nn.Module):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return hash_features(ids, 5, 8, "sign")


@pytest.mark.parametrize(("features", "variance"), [("uniform", 1 / 3), ("normal", 1.0), ("sign", 1.0)])
def test_numbers_have_their_mean_and_variance(features: Features, variance: float) -> None:
    """The published code multiplies in 32 bits, overflows, and spreads over -3 to 1."""
    numbers = hash_features(IDS, 5, 256, features)
    assert numbers.dtype == torch.float32
    assert abs(float(numbers.mean())) < 0.003
    assert abs(float(numbers.var()) / variance - 1) < 0.01
    if features != "normal":
        assert -1 <= float(numbers.min()) < -0.999
        assert 0.999 < float(numbers.max()) <= 1


@pytest.mark.parametrize("features", ["uniform", "normal", "sign"])
def test_hashes_and_ids_know_nothing_of_one_another(features: Features) -> None:
    """Correlations of 9,000 ids between hashes, and of 256 hashes between ids, as of independent numbers."""
    numbers = hash_features(IDS, 5, 256, features)
    assert float(torch.corrcoef(numbers.T).fill_diagonal_(0).abs().max()) < 6 / len(IDS) ** 0.5
    assert float(torch.corrcoef(numbers[::20]).fill_diagonal_(0).abs().max()) < 6 / 256**0.5


def test_normal_numbers_have_the_tails_of_a_normal_distribution() -> None:
    numbers = hash_features(IDS, 5, 64, "normal").double()
    assert abs(float(numbers.pow(4).mean()) - 3) < 0.1
    assert torch.isfinite(numbers).all()


def test_hashes_are_whole_numbers_below_a_million() -> None:
    hashes = (hash_features(IDS, 9, 32, "uniform").double() + 1) / 2 * (BUCKETS - 1)
    assert float((hashes - hashes.round()).abs().max()) < 0.1  # float32 has 24 bits
    assert 0 <= int(hashes.round().min()) < int(hashes.round().max()) <= BUCKETS - 1


def test_seeds_give_other_hashes() -> None:
    one, other = (hash_features(IDS, seed, 8, "uniform") for seed in (1, 2))
    assert torch.equal(one, hash_features(IDS, 1, 8, "uniform"))
    assert float((one == other).float().mean()) < 1e-3


@pytest.mark.parametrize("features", ["uniform", "normal", "sign"])
def test_no_ids_have_no_features(features: Features) -> None:
    assert hash_features(torch.empty(0, dtype=torch.int64), 5, 8, features).shape == (0, 8)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(TypeError, match="ids must be int64"):
        hash_features(IDS.int(), 5, 8, "sign")
    with pytest.raises(ValueError, match=r"ids must be \[n\]"):
        hash_features(IDS[:, None], 5, 8, "sign")
