"""What all tests share: where real data lies, which tests a machine can run, and that every run is the same run."""

from __future__ import annotations

import os
from pathlib import Path

# Before torch is imported by anything: results must not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

hypothesis.settings.register_profile("pocketrec", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("pocketrec")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that read real data."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("data")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, with the reason."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device on this machine")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real data sets: POCKETREC_DATA, or ../shared/data beside the repository."""
    named = os.environ.get("POCKETREC_DATA")
    folder = Path(named) if named else ROOT / "../shared/data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder. Set POCKETREC_DATA to the folder that holds the sets.")
    return folder.resolve()
