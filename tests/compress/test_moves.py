from __future__ import annotations

from typing import Any

import torch

from pocketrec.compress import build, size, stages
from pocketrec.compress.methods.autosrh import METHOD
from pocketrec.compress.moves import move_matrices
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of, zipf_stats

TABLES = [TableSpec(name=n, rows=40, dim=8, ids="rank") for n in "ab"]


def test_a_method_is_given_the_gradients_of_its_matrices_and_nobody_else_sees_them(monkeypatch: Any) -> None:
    told = []

    def move(self: Any, group: Any, name: str, gradient: torch.Tensor, *, held_out: bool) -> None:
        assert not torch.is_grad_enabled()
        told.append((name, gradient.clone(), held_out))

    monkeypatch.setattr(METHOD, "move", move)
    sizing = size(TABLES, "4x", "autosrh", stats=zipf_stats(TABLES))
    bank = build(stages(sizing)[0][1], seed=0)
    bank(torch.zeros(3, 2, dtype=torch.int64)).sum().backward()
    (matrix,) = bank.matrices()
    assert matrix.grad is not None
    gradient = matrix.grad.clone()
    for held_out in (False, True, True):
        move_matrices(bank, held_out=held_out)
        assert matrix.grad is None
        if len(told) == 1:
            matrix.grad = 2 * gradient
    assert [(name, held_out) for name, _, held_out in told] == [("alpha", False), ("alpha", True)]
    assert torch.equal(told[0][1], gradient)
    assert torch.equal(told[1][1], 2 * gradient)


def test_matrices_of_other_methods_keep_their_gradients() -> None:
    bank = build(stages(size(TABLES, "60%", "autodim"))[0][1], seed=0)
    bank(torch.ones(3, 2, dtype=torch.int64)).sum().backward()
    move_matrices(bank, held_out=True)
    assert all(matrix.grad is not None for matrix in bank.matrices())
    assert groups_of(bank)[0].method.traits.moves == ()
