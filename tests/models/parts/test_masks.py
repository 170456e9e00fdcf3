from __future__ import annotations

import torch

from pocketrec.models.parts.masks import Masks

ONES = torch.ones(400, 50)


def test_the_share_that_is_left_out_and_the_scale_of_the_rest() -> None:
    kept = Masks(0.2, seed=0, step=0)(ONES)
    assert set(kept.unique().tolist()) == {0.0, 1.25}
    assert abs(float((kept == 0).float().mean()) - 0.2) < 0.01


def test_masks_depend_on_seed_and_step_and_nothing_else() -> None:
    before = torch.get_rng_state()
    first = Masks(0.5, seed=3, step=7)
    one, two = first(ONES), first(ONES)
    again = Masks(0.5, seed=3, step=7)
    assert torch.equal(again(ONES), one)
    assert torch.equal(again(ONES), two)
    assert not torch.equal(one, two), "every layer has a mask of its own"
    assert not torch.equal(Masks(0.5, seed=3, step=8)(ONES), one)
    assert not torch.equal(Masks(0.5, seed=4, step=7)(ONES), one)
    assert torch.equal(before, torch.get_rng_state())


def test_masked_numbers_keep_their_dtype() -> None:
    assert Masks(0.5, seed=0, step=0)(ONES.bfloat16()).dtype == torch.bfloat16
