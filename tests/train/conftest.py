"""What the tests of the loop share: a planted problem, and its program."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).with_name("planted_clicks.py")


def _loaded() -> ModuleType:
    name = "pocketrec_planted_clicks"  # dataclasses look their module up by name
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, PROGRAM)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def planted() -> ModuleType:
    """The module ``planted_clicks``."""
    return _loaded()


@pytest.fixture(scope="session")
def program() -> Path:
    """The file that trains when it is run."""
    return PROGRAM


@pytest.fixture(autouse=True)
def _no_waiting_for_the_metal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is kept by the kernel, whatever becomes of the process; only a power cut needs more."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
