from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from pocketrec.testing.method_contract import MethodContract, _label

CHECKS = [f for name, f in inspect.getmembers(MethodContract, inspect.isfunction) if name.startswith("test_")]
CASES = {"variant", "storage", "one_of_a_kind", "ratio", "space", "optimizer", "trained"}


def test_all_parts_are_in_it() -> None:
    assert len(CHECKS) >= 30
    assert {f.__module__.rsplit(".", 1)[-1] for f in CHECKS} == {
        "sizing_checks", "lookup_checks", "learning_checks", "serving_checks",
    }  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
def test_every_check_says_by_its_name_what_it_asks_and_takes_what_the_suite_gives(check: object) -> None:
    assert callable(check)
    assert set(inspect.signature(check).parameters) <= {"self", "tmp_path"} | CASES


def test_variants_have_readable_names() -> None:
    assert _label({}) == "default"
    assert _label({"block": 4, "sign": False}) == "block=4,sign=False"


def test_importing_the_suites_needs_no_pytest() -> None:
    program = (
        "import sys; sys.modules['pytest'] = None\n"
        "import pocketrec.testing.method_contract, pocketrec.testing.storage_contract"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
