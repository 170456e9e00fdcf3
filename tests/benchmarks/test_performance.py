"""Every benchmark of a claim runs, with all contestants that are installed, so that the files never rot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pocketrec.compress.storage import STORAGES
from pocketrec.native import backend

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = {file.stem for file in (ROOT / "benchmarks").glob("*.py") if "CLAIM = Claim(" in file.read_text()}


pytestmark = pytest.mark.slow


@pytest.mark.skipif(backend() == "reference", reason="the compiled kernels, which are measured, were not built")
@pytest.mark.skipif(
    shutil.which("cc") is None, reason="the machine's limits are measured in C, and cc is not installed"
)
def test_all_claims_are_measured_at_tiny_size() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "performance.py", "--quick"],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sections = dict(part.split("\n", 1) for part in done.stdout.split("\n## ")[1:])
    assert set(sections) == CLAIMS
    assert len(CLAIMS) >= 10
    assert "Not measured yet." not in done.stdout
    skipped = [found for found in done.stdout.splitlines() if found.startswith("Not here: ")]
    ours = [found for found in skipped if found.startswith("Not here: pocketrec")]
    assert len(ours) == ("int4" not in STORAGES.names()), ours
    assert all("requirements.txt" in found or "FuxiCTR" in found or found in ours for found in skipped), skipped


@pytest.mark.skipif(
    shutil.which("cc") is None, reason="the machine's limits are measured in C, and cc is not installed"
)
def test_a_process_of_one_case_tells_its_figures_and_what_others_did() -> None:
    task = {"case": {"pages": "4K", "bytes": 1 << 20}, "rounds": 2, "steps": 1, "only": None}
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "machine_limits.py", "--worker", json.dumps(task)],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["found"]["read"] > 0
    assert told["missing"] == {}
    assert told["others_cores"] >= 0
