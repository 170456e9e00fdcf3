"""What a shell is told when somebody presses the tabulator; asked as shells ask, by environment variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketrec.cli import _complete
from pocketrec.compress import METHODS
from pocketrec.compress.storage import STORAGES
from pocketrec.models import MODELS
from pocketrec.spec.budget import Budget
from pocketrec.spec.schemas import SCHEMAS

PROGRAM = """
import sys
from pocketrec.cli import app
try:
    app(prog_name="pocketrec")
finally:
    sys.stderr.write(str(sorted({"torch", "numpy", "pyarrow"} & set(sys.modules))))
"""


def asked(shell: str, line: str, cwd: Path | None = None) -> list[str]:
    """The lines that a shell gets for a command line up to the cursor. Nothing heavy may be loaded: a person waits."""
    words = {"bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}}
    variables = words.get(shell, {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"})
    environment = {**os.environ, "_POCKETREC_COMPLETE": f"complete_{shell}", **variables}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "[]"
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_values_of_options(shell: str) -> None:
    assert asked(shell, "pocketrec train x --method ") == METHODS.names()
    assert asked(shell, "pocketrec train x --storage f") == ["float16", "float16_trained", "float32"]


def test_zsh_gets_its_own_form() -> None:
    [first, *_] = asked("zsh", "pocketrec train --model d")
    assert first.startswith("_arguments")
    assert '"dlrm"' in "".join(asked("zsh", "pocketrec train --model dl"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pocketrec da", ["data"]),
        ("pocketrec data ", ["check"]),
        ("pocketrec data check --sch", ["--schema"]),
        ("pocketrec size kaggle --method ro", ["robe"]),
        ("pocketrec size kaggle --optimizer ad", ["adagrad", "adam"]),
        ("pocketrec train --bad-rows ", ["fail", "skip"]),
        ("pocketrec stats --schema cri", ["criteo"]),
    ],
)
def test_words(line: str, expected: list[str]) -> None:
    assert asked("bash", line) == expected


def test_schema_files_beside_built_in_names(tmp_path: Path) -> None:
    (tmp_path / "crowd.yaml").touch()
    (tmp_path / "crowd.csv").touch()
    (tmp_path / "crates").mkdir()
    assert asked("bash", "pocketrec data check --schema cr", tmp_path) == ["criteo", "crates/", "crowd.yaml"]


def test_names_are_those_that_the_registries_know() -> None:
    assert _complete.methods("") == METHODS.names()
    assert _complete.storages("") == STORAGES.names()
    assert _complete.models("") == MODELS.names()
    assert _complete.schemas("") == SCHEMAS.names()


def test_names_of_other_packages_are_offered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint, EntryPoints

    theirs = EntryPoints([EntryPoint(name="taobao", value="their.package:SCHEMA", group="pocketrec.schemas")])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **asked: theirs.select(**asked))
    assert _complete.schemas("tao") == ["taobao"]
    assert "taobao" not in _complete.methods("")


def test_budgets_can_be_read() -> None:
    assert all(Budget.parse(text) for text, _ in _complete.budgets(""))
    assert [text for text, _ in _complete.budgets("1")] == ["16x", "10x", "100x", "1000x", "1GiB"]
    assert asked("bash", "pocketrec size kaggle --budget 5") == ["5%"]


def test_folders_that_cannot_be_listed_offer_nothing(tmp_path: Path) -> None:
    assert _complete.schemas(f"{tmp_path}/absent/x") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_the_shell_is_shown(shell: str) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'pocketrec'; from pocketrec.cli import main; main()"]
    done = subprocess.run([*command, "--show-completion", shell], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert f"complete_{shell}" in done.stdout
    assert "_POCKETREC_COMPLETE" in done.stdout


def test_the_script_is_installed(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'pocketrec'; from pocketrec.cli import main; main()"]
    done = subprocess.run([*command, "--install-completion", "bash"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "pocketrec" in (tmp_path / ".bashrc").read_text()
