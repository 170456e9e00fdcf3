from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.native import binding
from pocketrec.native.binding import use_backend
from pocketrec.native.mix import mix
from pocketrec.native.scored_keys import ALL_IDS, Scored, normalised, scored_keys


def touched(count: int, tables: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """ids, tables and importance; some are 0."""
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(2**63 - 1, (count,), generator=draw) >> torch.randint(62, (count,), generator=draw)
    importance = torch.rand(count, generator=draw) * torch.randint(3, (count,), generator=draw)
    return ids, torch.randint(tables, (count,), generator=draw), importance


@pytest.mark.parametrize("count", [0, 1, 2, 500, 5000])
def test_backlasts_agree_to_the_last_bit(compiled: None, count: int) -> None:
    ids, tables, importance = touched(count, 4, count)
    importance[tables == 3] = 0
    seeds = torch.tensor([0, -1, 2**63 - 1, 7])
    for lasts in ([ALL_IDS] * 4, [-1, 1000, ALL_IDS, 2**40], [-1] * 4):
        with use_backend("compiled"):
            found = scored_keys(ids, tables, importance, seeds=seeds, lasts=torch.tensor(lasts))
        with use_backend("reference"):
            expected = scored_keys(ids, tables, importance, seeds=seeds, lasts=torch.tensor(lasts))
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_key_is_the_id_mixed_with_the_seed_of_its_table(backend: str) -> None:
    ids, tables, importance = touched(300, 3, 0)
    seeds = torch.tensor([5, 6, 2**62])
    found = scored_keys(ids, tables, importance, seeds=seeds, lasts=torch.full((3,), ALL_IDS))
    assert torch.equal(found.values, torch.arange(300))
    for table in range(3):
        own = tables[found.values] == table
        assert torch.equal(found.keys[own], mix(ids[found.values][own], int(seeds[table])))
        assert float(found.scores[own].mean()) == pytest.approx(1.0, rel=1e-5)


def test_what_is_left_out_is_in_no_mean(backend: str) -> None:
    found = scored_keys(
        torch.tensor([9, 10, 1, 2]), torch.tensor([0, 0, 1, 0]), torch.tensor([1.0, 100.0, 5.0, 3.0]),
        seeds=torch.tensor([3, 4]), lasts=torch.tensor([9, -1]),
    )  # fmt: skip
    assert found.values.tolist() == [0, 3]
    assert found.scores.tolist() == [0.5, 1.5]


def test_importance_has_mean_one_per_table_whatever_the_loss_is_multiplied_by() -> None:
    draw = torch.Generator().manual_seed(0)
    tables = torch.randint(3, (500,), generator=draw)
    importance = torch.rand(500, generator=draw) * torch.tensor([1.0, 100.0, 1e-4])[tables]
    scores = normalised(importance, tables, 4)
    for table in range(3):
        assert float(scores[tables == table].mean()) == pytest.approx(1.0, rel=1e-5)
    assert torch.equal(normalised(importance * 1024, tables, 4), scores)
    torch.testing.assert_close(normalised(importance * 3e20, tables, 4), scores)


def test_a_table_without_gradients_has_no_importance(backend: str) -> None:
    tables, importance = torch.tensor([0, 0, 1]), torch.tensor([0.0, 0.0, 2.0])
    assert normalised(importance, tables, 3).tolist() == [0.0, 0.0, 1.0]
    assert normalised(torch.empty(0), tables[:0], 3).shape == (0,)
    found = scored_keys(tables, tables, importance, seeds=tables[:2], lasts=torch.full((2,), ALL_IDS))
    assert found.scores.tolist() == [0.0, 0.0, 1.0]


def test_what_does_not_fit_is_refused(backend: str) -> None:
    ids, importance, seeds = torch.tensor([1, 2]), torch.ones(2), torch.tensor([1, 2, 3])
    for bad in (3, -1):
        with pytest.raises(ValueError, match=rf"tables must lie in 0..2; number 1 is {bad}\."):
            scored_keys(ids, torch.tensor([0, bad]), importance, seeds=seeds, lasts=seeds)
    with pytest.raises(ValueError, match="must be as many, got 2, 2 and \\[1\\]"):
        scored_keys(ids, ids, importance[:1], seeds=seeds, lasts=seeds)
    with pytest.raises(ValueError, match="got 3 and 2"):
        scored_keys(ids, ids, importance, seeds=seeds, lasts=seeds[:2])
    for wrong in ((ids.int(), importance), (ids, importance.double()), (ids[:, None], importance)):
        with pytest.raises(TypeError, match="must be int64 of one axis and importance float32"):
            scored_keys(wrong[0], ids, wrong[1], seeds=seeds, lasts=seeds)


def test_it_is_an_op(backend: str) -> None:
    arguments = (*touched(9, 2, 0), torch.tensor([1, 2]), torch.tensor([ALL_IDS, 100]))
    torch.library.opcheck(torch.ops.pocketrec.scored_keys.default, arguments)
    assert isinstance(scored_keys(*arguments[:3], seeds=arguments[3], lasts=arguments[4]), Scored)


def test_the_kernel_is_there_where_kernels_are() -> None:
    assert binding._built is None or hasattr(binding._built, "scored_keys")
