from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from pocketrec.native.binding import kernels, use_backend
from pocketrec.native.keep_freed import KEPT_BYTES, keep_freed

# Takes and frees blocks as a step does, and prints how many pages were mapped once that has settled. Without the call
# it is all of them or none, as the addresses of the process happen to lie.
PROGRAM = """
import resource, torch
from pocketrec.native.keep_freed import keep_freed

def step():
    blocks = [torch.empty(27 << 20, dtype=torch.uint8).fill_(1) for _ in range(3)]

keep_freed()
for _ in range(12):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_blocks_are_not_mapped_anew() -> None:
    if kernels() is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("needs the compiled kernels and glibc")
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 1000, "of the 414,720 pages that 60 blocks take"


def test_it_says_what_is_kept() -> None:
    with use_backend("reference"):
        assert keep_freed() == 0
    if kernels() is not None and platform.libc_ver()[0] == "glibc":
        assert keep_freed() == KEPT_BYTES == 2**30
