from __future__ import annotations

import math
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.native import Access, Column, Combining, Kind, Pooling, backend, compact, lookup, use_backend
from pocketrec.native.binding import ABI, check_simd, kernels, kernels_for, load, simd, simd_available
from pocketrec.spec.errors import NativeError

LEVELS = ["generic", "avx2", "avx512"]
ASK_BACKEND = "from pocketrec import native; print(native.backend())"
ASK_LEVELS = "from pocketrec import _native; print(_native.simd(), _native.simd_available())"


def answer(setting: str, name: str = "POCKETREC_NATIVE", program: str = ASK_BACKEND) -> str:
    """What a fresh Python says, by default of its backend, under a value of an environment variable."""
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {name: setting}, capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr


def pretend(monkeypatch: pytest.MonkeyPatch, abi: int | None) -> ModuleType:
    module = ModuleType("pocketrec._native")
    module.__file__ = "somewhere/_native.so"
    if abi is not None:
        module.ABI = abi  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pocketrec._native", module)
    return module


def test_zero_forces_the_references() -> None:
    assert answer("0") == "reference"


def test_the_backend_can_be_named_for_a_while(compiled: None) -> None:
    assert backend() == "compiled"
    with use_backend("reference"):
        assert backend() == "reference"
        assert kernels() is None
        with use_backend("compiled"):
            assert kernels() is not None
        assert backend() == "reference"
    assert backend() == "compiled"


def test_the_backend_comes_back_after_an_error() -> None:
    before = backend()
    with pytest.raises(ZeroDivisionError), use_backend("reference"):
        raise ZeroDivisionError
    assert backend() == before


def test_kernels_compute_on_the_cpu_only(compiled: None) -> None:
    assert kernels_for(torch.zeros(1)) is not None
    assert kernels_for(torch.zeros(1, device="meta")) is None


def test_a_module_of_this_abi_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pretend(monkeypatch, ABI)
    assert load("") is module
    assert load("1") is module
    assert load("0") is None


@pytest.mark.parametrize("abi", [ABI + 1, ABI - 1, None])
def test_a_module_of_another_abi_is_an_error_and_no_fallback(monkeypatch: pytest.MonkeyPatch, abi: int | None) -> None:
    pretend(monkeypatch, abi)
    with pytest.raises(NativeError, match=rf"has ABI {abi}, this pocketrec needs {ABI}: somewhere/_native\.so"):
        load("")
    assert load("0") is None


def test_a_missing_module_is_an_error_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketrec.native.binding._MODULE", "pocketrec._not_built")
    assert load("") is None
    with pytest.raises(NativeError, match=r"POCKETREC_NATIVE=1, but pocketrec\._not_built was not built"):
        load("1")


def test_a_module_that_cannot_be_loaded_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pocketrec_broken.py").write_text("raise ImportError('undefined symbol: pr_lookup')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("pocketrec.native.binding._MODULE", "pocketrec_broken")
    with pytest.raises(NativeError, match=r"cannot be loaded: undefined symbol: pr_lookup"):
        load("")


def test_another_setting_is_refused() -> None:
    with pytest.raises(NativeError, match="must be 0, 1 or empty, got 'yes'"):
        load("yes")


def test_the_header_carries_the_same_abi() -> None:
    header = Path(__file__).resolve().parents[2] / "csrc" / "pocketrec.h"
    found = re.search(r"#define POCKETREC_ABI (\d+)", header.read_text())
    assert found is not None
    assert int(found[1]) == ABI


def test_a_backend_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketrec.native.binding._built", None)
    with pytest.raises(NativeError, match="is not there"), use_backend("compiled"):
        pass


# ---------------------------------------------------------------- SIMD level


def test_the_available_level_is_what_the_processor_says(compiled: None) -> None:
    if platform.machine() != "x86_64":
        assert simd_available() == "generic"
        return
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        pytest.skip("this system has no /proc/cpuinfo to compare with")
    flags = set(next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")).split())
    narrow, wide = {"avx2", "fma", "f16c"}, {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
    expected = "generic" if not narrow <= flags else "avx512" if wide <= flags else "avx2"
    assert simd_available() == expected


@pytest.mark.parametrize("word", ["", *LEVELS])
def test_the_level_is_lowered_and_never_raised(compiled: None, word: str) -> None:
    available = str(simd_available())
    asked = LEVELS.index(word) if word else len(LEVELS)
    expected = LEVELS[min(asked, LEVELS.index(available))]
    assert answer(word, "POCKETREC_SIMD", ASK_LEVELS) == f"{expected} {available}"


def test_the_level_of_this_process_is_the_modules(compiled: None) -> None:
    assert (simd(), simd_available()) == (kernels().simd(), kernels().simd_available())


def test_the_kernels_alone_take_no_unknown_level_in_silence(compiled: None) -> None:
    program = f"import os; os.dup2(1, 2); {ASK_LEVELS}"
    said = answer("AVX2", "POCKETREC_SIMD", program)
    assert said.startswith('pocketrec: POCKETREC_SIMD must be generic, avx2 or avx512, got "AVX2": generic is used\n')
    assert said.splitlines()[-1] == f"generic {simd_available()}"


def test_an_unknown_level_is_refused() -> None:
    said = answer("avx", "POCKETREC_SIMD").splitlines()
    assert said[-1].endswith("NativeError: POCKETREC_SIMD must be generic, avx2, avx512 or empty, got 'avx'.")
    assert not [line for line in said if line.startswith("pocketrec: ")], "the kernels were loaded all the same"
    with pytest.raises(NativeError, match="got 'AVX2'"):
        check_simd("AVX2")
    check_simd("")


def test_the_references_have_no_level() -> None:
    with use_backend("reference"):
        assert (simd(), simd_available()) == (None, None)


# ---------------------------------------------------------------- both backends


# Numbers at which arithmetic tends to break, and small ones that make a sensible program.
NUMBERS = st.sampled_from(
    [*range(-2, 9), 16, 61, 62, 2**31, 2**32 + 5, 2**53 + 1, 2**61, 2**62 - 1, 2**62, 2**63 - 1, -(2**63), 2038074743]
)
SMALL = st.integers(0, 8)


@st.composite
def programs(draw: st.DrawFn, combining: int, parts: int) -> list[list[int]]:
    """Programs of sound rows of which some have one wild number."""
    if combining == Combining.CONCAT:
        kinds = [Kind.BLOCK, Kind.LINEAR_BLOCK]
    else:
        kinds = [Kind.ROW, Kind.HASH, Kind.MAPPED, Kind.PAGED, Kind.SKETCHED, Kind.TAGGED, Kind.DIGITS]
        kinds += [Kind.QUOTIENT_REMAINDER] * (parts == 2)
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(kinds))
        numbers = dict(zip(Column, [draw(SMALL) for _ in Column], strict=True)) | {Column.KIND: kind, Column.LIMIT: -1}
        numbers |= {Column.COLUMN: draw(st.integers(0, 1)), Column.PADDING: draw(st.integers(-1, 3))}
        for column in (Column.SIZE, Column.N, Column.P):
            numbers[column] += 1
        if kind == Kind.ROW:
            numbers[Column.SIZE] += numbers[Column.B]
            numbers[Column.A] += numbers[Column.B]
        if kind == Kind.DIGITS:
            numbers[Column.U] = draw(st.integers(1, parts))
            numbers[Column.B] = draw(st.sampled_from([0, parts, 4]))
        if combining == Combining.CONCAT:
            numbers[Column.A] += 5
            numbers[Column.SIZE] += numbers[Column.A]
            numbers |= {Column.B: numbers[Column.B] % 8, Column.N: 0}
        if draw(st.integers(0, 9)) == 0:
            numbers[draw(st.sampled_from(Column))] = draw(NUMBERS)
        rows.append(list(numbers.values()))
    return rows


@st.composite
def calls(draw: st.DrawFn) -> tuple[tuple[list[torch.Tensor], torch.Tensor, Access], dict[str, Any]]:
    """Arguments of a lookup, mostly sound, always of the documented shapes and dtypes."""
    combining, dim = draw(st.sampled_from(sorted(set(Combining) - {Combining.CONTRACT}))), draw(st.integers(1, 5))
    # blocks are at least as long as any dim here, so that one covers it
    parts = {Combining.COPY: 1, Combining.PRODUCT: 2, Combining.CONCAT: 1}.get(combining) or draw(st.integers(1, 3))
    program = torch.tensor(draw(programs(combining, parts)))
    sizes = [40] if combining == Combining.CONCAT else [*draw(st.lists(SMALL, max_size=3)), 60]
    shape = () if combining == Combining.CONCAT else (dim,)
    regions = [torch.arange(1.0, 1 + size * math.prod(shape)).view(size, *shape) for size in sizes]
    maps = torch.tensor(draw(st.lists(st.one_of(SMALL, SMALL, NUMBERS), min_size=20, max_size=20)))
    access = Access(program, (0,) * len(regions), dim, parts, combining, maps)
    numbers = [draw(NUMBERS) if draw(st.integers(0, 9)) == 0 else draw(SMALL) for _ in range(4)]
    pooling = draw(st.sampled_from([None, *Pooling]))
    if pooling is None:
        return (regions, torch.tensor(numbers).view(2, 2), access), {}
    ends = draw(st.lists(st.integers(0, 4), min_size=2 * len(program) + 1, max_size=2 * len(program) + 1))
    ends = ends if draw(st.integers(0, 9)) == 0 else sorted(ends)
    return (regions, torch.tensor(numbers), access), {"offsets": torch.tensor(ends), "pooling": pooling}


def outcome(backend_name: Any, arguments: Any, bags: Any) -> list[Any]:
    """Results of a lookup and of its compact pairs as lists, or the kind of error: of two faults either may be told."""
    with use_backend(backend_name):
        try:
            found = lookup(*arguments, **bags)
            pairs = compact(torch.ones_like(found), *arguments, **bags)
        except (ValueError, IndexError) as error:
            return [type(error)]
    return [found.tolist(), *(tensor.tolist() for tensor in pairs)]


@settings(max_examples=200)
@given(call=calls())
def test_backends_agree_on_any_program_and_any_ids(call: Any) -> None:
    if backend() != "compiled":
        pytest.skip("pocketrec._native was not built, or POCKETREC_NATIVE=0")
    compiled_outcome, reference_outcome = outcome("compiled", *call), outcome("reference", *call)
    assert compiled_outcome == reference_outcome
