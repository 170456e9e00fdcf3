"""What runs are compared by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pocketrec.bench.objective import objective
from pocketrec.spec.result import Result


def test_it_is_a_figure_on_validation_rows_whatever_the_test_rows_say(make_run: Callable[..., Result]) -> None:
    run = make_run(auc=0.75)
    assert objective(run, "auc") == pytest.approx(0.74)
    assert objective(replace(run, test=None), "auc") == objective(run, "auc")
    assert objective(replace(run, test=replace(run.test, auc=0.99)), "auc") == objective(run, "auc")  # type: ignore[type-var]
    assert objective(run, "logloss") == -0.5


def test_what_stands_in_where_a_figure_is_missing(make_run: Callable[..., Result]) -> None:
    run = make_run(auc=0.75)
    assert run.validation is not None
    with_users = replace(run, validation=replace(run.validation, gauc=0.6))
    assert (objective(with_users, "gauc"), objective(run, "gauc")) == (0.6, pytest.approx(0.74))
    one_class = replace(run, validation=replace(run.validation, auc=None))
    assert objective(one_class, "auc") == -0.5
    assert objective(make_run(auc=None, skipped="too small"), "auc") is None
