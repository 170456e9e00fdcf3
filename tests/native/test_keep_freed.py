from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from pocketrec.native.binding import kernels, use_backend
from pocketrec.native.keep_freed import KEPT_BYTES, keep_freed

# Takes and frees two blocks at a time, as a step does; prints how many pages were mapped meanwhile.
PROGRAM = """
import resource, sys, torch
from pocketrec.native.keep_freed import keep_freed
if sys.argv[1] == "keep":
    keep_freed()

def step():
    blocks = [torch.empty(27 << 20, dtype=torch.uint8).fill_(1) for _ in range(3)]

for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_blocks_are_not_mapped_anew() -> None:
    if kernels() is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("needs the compiled kernels and glibc")
    faults = {
        word: int(
            subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=True).stdout
        )
        for word in ("keep", "leave")
    }
    assert 3 * faults["keep"] < faults["leave"], faults


def test_it_says_what_is_kept() -> None:
    with use_backend("reference"):
        assert keep_freed() == 0
    if kernels() is not None and platform.libc_ver()[0] == "glibc":
        assert keep_freed() == KEPT_BYTES == 2**30
