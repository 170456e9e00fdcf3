"""Run the command line as a person does, within this process; and one small run that several tests look at."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pocketrec.cli import main
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic

TINY = ("--dim", "4", "--epochs", "1", "--set", "model.bottom=[4]", "--set", "model.top=[4]", "-q")


@dataclass(frozen=True)
class Said:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The output as JSON; it must be all of it."""
        return json.loads(self.out)


Say = Callable[..., Said]


@contextmanager
def words(*arguments: object) -> Iterator[None]:
    """Another command line."""
    before, sys.argv = sys.argv, ["pocketrec", *map(str, arguments)]
    try:
        yield
    finally:
        sys.argv = before


@pytest.fixture
def pocketrec(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Say:
    """``pocketrec("train", ...)``: one command, in a folder of its own, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Said:
        capfd.readouterr()
        with words(*arguments):
            code = exit_code()
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 rows in Criteo's format."""
    path = tmp_path_factory.mktemp("log") / "log.tsv.gz"
    write_synthetic(path, SyntheticSpec(rows=1500, scale="1/100000", seed=4))
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def run_folder(log: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests must not write into it."""
    out = tmp_path_factory.mktemp("run") / "run"
    silent = os.open(os.devnull, os.O_WRONLY)
    before = os.dup(1)
    os.dup2(silent, 1)
    try:
        with words("train", log, "--out", out, "--cache", cache, *TINY):
            assert exit_code() == 0
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(silent)
        os.close(before)
    return out


def exit_code() -> int:
    """Run the command of the present words to its end."""
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
