"""The suite of models finds faults, and takes a model from elsewhere."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.models import MODELS, Model
from pocketrec.models.parts.masks import Masks
from pocketrec.testing.model_contract import ModelContract, _label

CHECKS = [f for name, f in inspect.getmembers(ModelContract, inspect.isfunction) if name.startswith("test_")]
CASES = {"variant", "method", "storage", "features", "bags"}
DLRM: Any = MODELS.get("dlrm")


def contract(**members: Any) -> ModelContract:
    """The suite over a DLRM with something else in it."""
    faulty = type("Faulty", (DLRM,), members)
    made: ModelContract = type("Contract", (ModelContract,), {"model": faulty})()
    return made


def forward(change: Callable[[Any, Tensor, Tensor], Tensor]) -> dict[str, Any]:
    """A forward that does something to the logits, from the model, the logits and the dense numbers."""

    def changed(self: Any, dense: Tensor, ids: Tensor, offsets: Any = None, weights: Any = None) -> Tensor:
        return change(self, DLRM.forward(self, dense, ids, offsets, weights), dense)

    return {"forward": changed}


def init(change: Callable[..., None]) -> dict[str, Any]:
    """A constructor that does something more."""

    def changed(self: Any, bank: Any, **settings: Any) -> None:
        DLRM.__init__(self, bank, **settings)
        change(self, bank, **settings)

    return {"__init__": changed}


def idle(self: Any, *_: Any, **__: Any) -> None:
    self.idle = nn.Parameter(torch.zeros(3))


def grows(self: Any, bank: Any, **_: Any) -> None:
    self.register_buffer("seen", torch.zeros(bank.sizing.groups[0].tables[0].table.rows, device="meta"))


def draws(self: Any, *_: Any, **__: Any) -> None:
    self.top[0].weight.data.normal_()


def insists(self: Any, *_: Any, **__: Any) -> None:
    self.more = nn.Parameter(torch.ones(3, device="cpu"))


def last_column_only(self: Any, dense: Tensor, ids: Tensor, offsets: Any = None, weights: Any = None) -> Tensor:
    if offsets is None:
        ids = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, 1:]], dim=1)
    return DLRM.forward(self, dense, ids, offsets, weights)  # type: ignore[no-any-return]


FAULTS: dict[str, tuple[dict[str, Any], Callable[[ModelContract], None], str]] = {
    "logits of two axes": (
        forward(lambda _, x, __: x[:, None]), lambda c: c.test_takes_any_bank({}, "full", "dense"), "",
    ),
    "logits of another dtype": (
        forward(lambda _, x, __: x.double()), lambda c: c.test_takes_any_bank({}, "full", "dense"), "",
    ),
    "a loss that stands": (
        forward(lambda _, x, __: x * 0), lambda c: c.test_loss_falls({}, "full", False), "nats",
    ),
    "a net that nothing teaches": (
        init(idle), lambda c: c.test_gradients_reach_every_net_and_every_number_of_a_row({}, "dense"),
        "nothing can teach",
    ),
    "a column that is not read": (
        {"forward": last_column_only}, lambda c: c.test_every_column_counts_for_its_row_alone({}, "dense"),
        "column 0 is not read",
    ),
    "rows that see each other": (
        forward(lambda _, x, __: x - x.mean()), lambda c: c.test_every_column_counts_for_its_row_alone({}, "dense"),
        "see each other",
    ),
    "rows that know their place": (
        forward(lambda _, x, __: x + torch.arange(len(x))),
        lambda c: c.test_logits_do_not_depend_on_the_batch({}, "dense"), "",
    ),
    "a net that grows": (init(grows), lambda c: c.test_nets_do_not_grow_with_rows({}, "full"), ""),
    "values from the global generator": (
        init(draws), lambda c: c.test_values_come_from_the_seed_alone({}), "global generator",
    ),
    "memory that is taken at once": (
        init(insists), lambda c: c.test_is_described_without_memory({}, "dense"), "before anybody could refuse",
    ),
    "dropout that a resume cannot repeat": (
        forward(lambda self, x, _: x * torch.rand(len(x)) if self.training and self.config.dropout else x),
        lambda c: c.test_dropout_depends_on_seed_and_step_alone({}), "a resumed step",
    ),
    "dropout that is always the same": (
        {"masks": lambda self: Masks(0.5, seed=0, step=0) if self.training and self.config.dropout else None},
        lambda c: c.test_dropout_depends_on_seed_and_step_alone({}), "never changes",
    ),
    "dropout while serving": (
        {"masks": lambda self: Masks(0.5, seed=0, step=int(self.bank.steps)) if self.config.dropout else None},
        lambda c: c.test_dropout_depends_on_seed_and_step_alone({}), "while serving",
    ),
    "numbers of half precision": (
        forward(lambda _, x, __: x.bfloat16() if torch.is_autocast_enabled("cpu") else x),
        lambda c: c.test_bfloat16_nets_still_return_float32({}, "dense"), "",
    ),
    "a served model that scores otherwise": (
        forward(lambda self, x, _: x + (self.bank.form == "serve")),
        lambda c: c.test_freezing_stays_within_tolerance({}, "float32"), "",
    ),
    "no card": ({}, lambda c: c.test_has_a_card_and_a_name(), "one name"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    members, check, text = FAULTS[fault]
    with pytest.raises(AssertionError, match=text or None):
        check(contract(**members))


def test_a_model_without_fault_passes_all_that_the_faults_were_found_by() -> None:
    sound = type("Contract", (ModelContract,), {"model": DLRM})()
    for _, check, _ in FAULTS.values():
        check(sound)


def test_a_state_that_is_lost_is_found(tmp_path: Path) -> None:
    """What a model keeps outside its nets does not reach the artifact."""

    def keeps(self: Any, bank: Any, *, seed: int, **_: Any) -> None:
        self.secret = float(seed)

    members = {**init(keeps), **forward(lambda self, x, _: x + self.secret)}
    with pytest.raises(AssertionError):
        contract(**members).test_state_round_trips_through_an_artifact({}, "float32", tmp_path)


def test_asking_for_the_method_is_found() -> None:
    class Asks(Model):
        def forward(self, dense: Tensor, ids: Tensor, offsets: Any = None, weights: Any = None) -> Tensor:
            return dense if self.bank.sizing.groups[0].method == "robe" else ids

    faulty = type("Contract", (ModelContract,), {"model": Asks})()
    with pytest.raises(AssertionError, match="asks for a method"):
        faulty.test_never_asks_which_method_is_inside()


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_every_check_says_by_its_name_what_it_asks_and_takes_what_the_suite_gives(check: object) -> None:
    assert callable(check)
    assert set(inspect.signature(check).parameters) <= {"self", "tmp_path"} | CASES


def test_every_model_is_under_the_contract() -> None:
    tests = Path(__file__).parents[1] / "models"
    for name in MODELS.names():
        assert "(ModelContract)" in (tests / f"test_{name}.py").read_text(), name


def test_variants_have_readable_names() -> None:
    assert _label({}) == "default"
    assert _label({"cross": "parallel", "cross_rank": 2}) == "cross=parallel,cross_rank=2"


def test_importing_the_suite_needs_no_pytest() -> None:
    program = "import sys; sys.modules['pytest'] = None\nimport pocketrec.testing.model_contract"
    subprocess.run([sys.executable, "-c", program], check=True)
