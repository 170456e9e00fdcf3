"""The hot kernels take no more instructions than they did: counts instead of times, which other load cannot spoil."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Instructions per looked-up id on the AVX2 path, as g++ 12 compiles it. Whoever makes a kernel faster lowers its
# number; whoever must raise one says why in the commit.
COUNTED = {
    "lookup float32 dim 16": 29,
    "lookup float32 dim 64": 57,
    "lookup int8 dim 16": 39,
    "lookup int8 dim 64": 87,
    "lookup int4 dim 16": 47,
    "lookup int4 dim 64": 91,
    "compact and update dim 16": 300,  # with the sum of squares of each gradient; 290 up to ABI 12
    "lookup quotient_remainder dim 16": 65,
    "lookup robe dim 16": 300,
}
# Other compilers, and other libraries behind memcpy and fill, count a little differently.
HEADROOM = 1.10


def _program() -> ModuleType:
    """benchmarks/instruction_counts.py."""
    spec = importlib.util.spec_from_file_location("instruction_counts", ROOT / "benchmarks" / "instruction_counts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROGRAM = _program()
MISSING = PROGRAM.why_not()

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=f"cannot count: {MISSING}")]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels in a program of their own."""
    pytest.importorskip("nanobind", reason="cannot count: the build needs nanobind")
    built: Path = PROGRAM.build_driver(tmp_path_factory.mktemp("count_driver"))
    return built


def test_every_counted_kernel_has_a_bound() -> None:
    assert set(COUNTED) == set(PROGRAM.CASES)


@pytest.mark.parametrize("case", COUNTED)
def test_no_kernel_takes_more_instructions_than_before(driver: Path, case: str) -> None:
    found = PROGRAM.count(driver, case)
    assert found > 10, "so few instructions cannot be a lookup: callgrind looks at the wrong function"
    assert found <= COUNTED[case] * HEADROOM, f"{case}: {found:.1f} instructions per id, {COUNTED[case]} before"
