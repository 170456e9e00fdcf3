from __future__ import annotations

import copy
import gc
import io
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.native import use_backend
from pocketrec.native.huge_pages import HUGE_PAGE_BYTES, LEAST_BYTES, advise, copied, empty, state, state_of, zeros
from pocketrec.spec.errors import NativeError

MAKERS: list[Callable[..., Tensor]] = [empty, zeros]
LARGE = (LEAST_BYTES // 64 + 3, 16)  # float32: a little above the least bytes, not a multiple of a page


@pytest.fixture
def allowed() -> None:
    """For tests of what only happens where huge pages are to be had."""
    if state() != "on":
        pytest.skip(f"huge pages are {state()}")


def huge_bytes(tensor: Tensor) -> int:
    """Bytes on huge pages in the system's mappings that the tensor lies in."""
    first, last, found, inside = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes, 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name = line.split(" ", 1)[0]
        if "-" in name and not name.endswith(":"):
            begin, end = (int(number, 16) for number in name.split("-"))
            inside = begin < last and end > first
        elif inside and name == "AnonHugePages:":
            found += int(line.split()[1]) * 1024
    return found


def mapped_bytes() -> int:
    """Address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (0, 4), (5, 3), (3_000_001, 4), (LEAST_BYTES,)])
def test_tensors_are_as_torch_makes_them(make: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    made, theirs = make(shape, dtype), torch.zeros(shape, dtype=dtype)
    assert (made.shape, made.dtype, made.device, made.stride()) == (
        theirs.shape, theirs.dtype, theirs.device, theirs.stride(),
    )  # fmt: skip
    assert not made.requires_grad
    assert made.untyped_storage().nbytes() == made.nbytes, "what saves storages would save more than the tensor"
    made.fill_(1)
    assert bool((made == 1).all())


def test_zeros_are_zeros_in_memory_that_was_used_before() -> None:
    for _ in range(3):
        made = zeros(LARGE, torch.float32)
        assert int(made.count_nonzero()) == 0
        made.fill_(7)
        del made


@pytest.mark.parametrize("make", MAKERS)
def test_large_tensors_begin_at_a_huge_page(allowed: None, make: Any) -> None:
    assert [make(LARGE, torch.float32).data_ptr() % HUGE_PAGE_BYTES for _ in range(3)] == [0, 0, 0]
    assert make((LEAST_BYTES,), torch.uint8).data_ptr() % HUGE_PAGE_BYTES == 0


def test_small_tensors_come_from_torch(allowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(mmap, "mmap", refused)
    assert empty((LEAST_BYTES - 1,), torch.uint8).shape == (LEAST_BYTES - 1,)
    with pytest.raises(AssertionError):
        empty((LEAST_BYTES,), torch.uint8)


def test_a_touched_tensor_is_on_huge_pages(allowed: None) -> None:
    made = empty((2**24,), torch.float32)
    assert huge_bytes(made) == 0
    made.fill_(1)
    # All 64 MiB on a quiet machine; a fragmented one gives fewer.
    assert 0 < huge_bytes(made) <= 64 * 2**20


def test_memory_goes_back_with_the_last_tensor_that_lies_in_it(allowed: None) -> None:
    gc.collect()
    before = mapped_bytes()
    part = zeros((2**25,), torch.float32).view(-1, 4)[5]
    assert mapped_bytes() >= before + 2**27
    part.fill_(3)
    assert part.tolist() == [3, 3, 3, 3]
    del part
    assert mapped_bytes() < before + 2**27


def test_what_is_saved_or_copied_holds_no_more_than_the_tensor(allowed: None) -> None:
    made = zeros(LARGE, torch.float32)
    buffer = io.BytesIO()
    torch.save(made, buffer)
    assert made.nbytes < buffer.tell() < made.nbytes + 4096
    again = copy.deepcopy(made)
    assert again.untyped_storage().nbytes() == made.nbytes
    assert again.data_ptr() != made.data_ptr()
    shared = made.share_memory_()
    assert shared.is_shared()
    assert int(shared.count_nonzero()) == 0


def test_it_is_a_parameter_as_any_other() -> None:
    parameter = torch.nn.Parameter(zeros(LARGE, torch.float32))
    (parameter[3] * 2).sum().backward()
    assert parameter.grad is not None
    assert parameter.grad[3].tolist() == [2.0] * 16


@pytest.mark.parametrize("rows", [7, LARGE[0]])
def test_a_copy_is_contiguous_and_shares_nothing(rows: int) -> None:
    source = torch.arange(16.0 * rows).reshape(16, rows).t().requires_grad_()
    found = copied(source)
    assert torch.equal(found, source)
    assert found.is_contiguous()
    assert not found.requires_grad
    with torch.no_grad():
        source.zero_()
    assert float(found.sum()) > 0
    assert (state() != "on") or rows == 7 or found.data_ptr() % HUGE_PAGE_BYTES == 0


def test_other_devices_are_torchs() -> None:
    assert zeros(LARGE, torch.float32, "meta").device.type == "meta"
    assert copied(torch.empty(LARGE, device="meta").t()).is_contiguous()


def test_memory_that_is_not_to_be_had_is_refused_by_torch(allowed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refused)
    assert int(zeros(LARGE, torch.float32).count_nonzero()) == 0
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="memory"):
        empty((2**46,), torch.float32)


# ---------------------------------------------------------------- memory made elsewhere


def test_only_whole_huge_pages_are_asked_for(allowed: None, compiled: None) -> None:
    made = torch.empty(LARGE)
    first = -made.data_ptr() % HUGE_PAGE_BYTES
    assert advise(made) == (made.nbytes - first) // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
    assert advise(empty(LARGE, torch.float32)) == LEAST_BYTES
    assert advise(made[:100]) == 0
    assert advise(made.t()) == 0
    assert advise(made[:0]) == 0
    assert advise(torch.empty(LARGE, device="meta")) == 0


def test_torchs_own_memory_is_on_huge_pages_too_when_asked_for(allowed: None, compiled: None) -> None:
    made = torch.empty(2**24)
    assert advise(made) >= 62 * 2**20
    made.fill_(1)
    assert huge_bytes(made) > 0


def test_nothing_is_asked_for_without_the_compiled_part() -> None:
    with use_backend("reference"):
        assert advise(torch.empty(LARGE)) == 0


# ---------------------------------------------------------------- on and off


def test_it_can_be_turned_off() -> None:
    program = (
        "import torch; from pocketrec.native.huge_pages import advise, state, zeros\n"
        f"made = zeros({LARGE}, torch.float32); print(state(), made.data_ptr() % {HUGE_PAGE_BYTES} == 0, advise(made))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"POCKETREC_HUGE_PAGES": "0"}, capture_output=True, text=True
    )
    assert done.stdout.startswith("off (POCKETREC_HUGE_PAGES=0) False 0"), done.stderr


def test_another_setting_is_refused() -> None:
    with pytest.raises(NativeError, match="must be 0, 1 or empty, got 'yes'"):
        state_of("yes")


def test_the_system_has_the_last_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    enabled = tmp_path / "enabled"
    monkeypatch.setattr("pocketrec.native.huge_pages._ENABLED", enabled)
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 14, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert state_of("1") == f"off (there is no {enabled})"
    for text, expected in (("[always] madvise never", "on"), ("always [madvise] never", "on")):
        enabled.write_text(text)
        assert state_of("") == state_of("1") == expected
    enabled.write_text("always madvise [never]")
    assert state_of("1") == f"off ({enabled} says never)"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert state_of("") == "off (this system has none to ask for)"
