"""The command line as a whole: its words are frozen, its help is there, its exit codes mean something."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import pocketrec.cli
from pocketrec.cli import app

# Scripts are written against these words. Adding one is a line here; changing one breaks somebody's script.
WORDS = {
    "bench": "--cache --data --jobs --memory --out --quiet --report --retry --tensorboard -j -q study",
    "data check": "--dim --json --out --quiet --rows --schema -q data",
    "demo": "--out --quiet --rows --seed -q",
    "evaluate": "--bad-rows --json artifact data",
    "export": "--json artifact out",
    "fit": (
        "--bad-rows --budget --cache --config --dim --effort --epochs --jobs --json --latency --memory --method "
        "--model --out --quiet --refit --schema --seed --set --split --storage --train-budget -b -j -m -q data"
    ),
    "info": "--json",
    "predict": "--out artifact data",
    "report": "--out --title results",
    "size": "--budget --dim --json --method --optimizer --option --per-table --storage -b -m -o tables",
    "stats": "--bad-rows --cache --json --quiet --schema --split -q data",
    "synth": (
        "--base-rate --cardinalities --clusters --days --drift --json --own --preset --rows --scale --schema --seed "
        "--shift --zipf out"
    ),
    "train": (
        "--bad-rows --budget --cache --config --dim --epochs --from --json --method --model --option --out --quiet "
        "--refit --results --schema --seed --set --split --storage --tensorboard -b -m -o -q data"
    ),
}  # fmt: skip


def commands() -> dict[str, Any]:
    """All of them; one of a group by both its words."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {name: command} if inner is None else {f"{name} {word}": one for word, one in inner.items()}
    return found


def test_commands_and_flags_are_frozen() -> None:
    found = {}
    for name, command in commands().items():
        words = set()
        for parameter in command.params:
            is_option = parameter.param_type_name == "option"
            words |= {*parameter.opts, *parameter.secondary_opts} if is_option else {parameter.name}
        found[name] = " ".join(sorted(words - {"--help", "-h"}))
    assert found == WORDS


def test_every_file_is_a_command() -> None:
    files = {path.stem for path in Path(pocketrec.cli.__file__).parent.glob("[!_]*.py")}
    assert files == {words.split()[0] for words in WORDS}


@pytest.mark.parametrize("command", WORDS)
def test_help_says_what_every_word_is_for(command: str, pocketrec: Callable[..., Any]) -> None:
    said = pocketrec(*command.split(), "--help")
    assert said.code == 0
    assert said.err == ""
    assert "See the head of this file" not in said.out
    for word in WORDS[command].split():
        assert word in said.out, word
    for parameter in commands()[command].params:
        assert (parameter.help or "").strip().endswith("."), f"{command}: {parameter.name} has no sentence of help"
    assert pocketrec(*command.split(), "-h").out == said.out


def test_help_lists_all_commands(pocketrec: Callable[..., Any]) -> None:
    said = pocketrec("--help")
    assert said.code == 0
    names = {words.split()[0] for words in WORDS}
    assert all(f" {command} " in said.out for command in names)
    without = pocketrec()
    assert all(f" {command} " in without.out + without.err for command in names)


def test_train_says_that_it_resumes_by_itself(pocketrec: Callable[..., Any]) -> None:
    said = " ".join(pocketrec("train", "--help").out.split())
    assert "the same command goes on where it stopped" in said


def test_version(pocketrec: Callable[..., Any]) -> None:
    import pocketrec as package

    assert pocketrec("--version").out == f"pocketrec {package.__version__}\n"


# ---------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["size"], "Missing argument"),
        (["size", "kaggle", "-b", "16x", "--frob"], "No such option"),
        (["size", "kaggle", "-b", "sixteen"], "Cannot read the budget 'sixteen'"),
        (["size", "kagle", "-b", "16x"], "No set of tables (nor a file) called 'kagle'. Did you mean 'kaggle'?"),
        (["train", "nowhere.tsv"], "nowhere.tsv: there is no such file."),
        (["train"], "the command line: data names no file"),
        (["train", "x", "--config", "no.yaml"], "no.yaml: there is no such configuration file"),
        (["train", "x", "--from", "nowhere"], "There is no artifact at nowhere"),
        (["train", "x", "--method", "rob"], "the command line: method: No method called 'rob'. Did you mean 'robe'"),
        (["train", "x", "--storage", "int9"], "No storage called 'int9'"),
        (["train", "x", "--set", "train.epohcs=3"], "train.epohcs: there is no such key; did you mean 'epochs'?"),
        (["train", "x", "--set", "seed"], "--set 'seed' is not of the form key=value"),
        (["train", "x", "--schema", "no.yaml"], "no.yaml: there is no such schema file"),
        (["train", "x", "--bad-rows", "maybe"], "bad_rows: it should be 'fail' or 'skip', got 'maybe'"),
        (["stats", "nowhere.tsv"], "nowhere.tsv: there is no such file"),
        (["data", "check", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["data", "check", "nowhere.csv", "--schema", "criteo"], "nowhere.csv: there is no such file"),
        (["data", "check", "x", "--schema", "criteo", "--out", "x.yaml"], "--out takes a proposed schema"),
        (["data", "check", "x", "--schema", "kriteo"], "kriteo: there is no such schema file"),
        (["data", "frobnicate"], "No such command 'frobnicate'"),
        (["evaluate", "nowhere", "x"], "There is no artifact at nowhere"),
        (["predict", "nowhere", "x"], "There is no artifact at nowhere"),
        (["export", "nowhere", "x.pt2"], "There is no artifact at nowhere"),
        (["report", "nowhere.jsonl"], "nowhere.jsonl"),
        (["synth", "x.tsv", "--rows", "0"], "rows must be 1 or more, got 0"),
    ],
)
def test_mistakes_end_with_a_sentence_and_code_2(
    arguments: list[str], said: str, pocketrec: Callable[..., Any]
) -> None:
    found = pocketrec(*arguments)
    assert (found.code, found.out) == (2, "")
    assert said in " ".join(found.err.replace("│", " ").split())
    if "Usage" not in found.err:
        assert len(found.err.splitlines()) == 1


def test_trouble_with_the_disk_is_a_sentence_too(pocketrec: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in (["synth", tmp_path / "file" / "log.tsv"], ["report", tmp_path]):
        found = pocketrec(*arguments)
        assert found.code == 2
        assert len(found.err.splitlines()) == 1
        assert str(tmp_path) in found.err


def test_a_mistake_of_ours_is_not_hidden(pocketrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketrec.cli.size._specs", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pocketrec("size", "kaggle", "-b", "16x")


def test_ctrl_c_ends_with_130_and_the_next_step(pocketrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pocketrec.cli.size._specs", interrupted)
    said = pocketrec("size", "kaggle", "-b", "16x")
    assert (said.code, said.out) == (130, "")
    assert "the same command again goes on from there" in said.err


def test_sigterm_ends_as_ctrl_c_does(pocketrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("pocketrec.cli.size._specs", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert pocketrec("size", "kaggle", "-b", "16x").code == 130
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_training_leaves_a_checkpoint_and_130(number: int, log: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-c", "from pocketrec.cli import main; main()", "train", str(log), "--out",
        str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), "-q", "--epochs", "100000", "--set",
        "train.patience=null", "--dim", "4", "--set", "model.bottom=[4]", "--set", "model.top=[4]",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    checkpoints = tmp_path / "run" / "checkpoints"
    for _ in range(600):
        if checkpoints.is_dir() and any(checkpoints.glob("save-*/manifest.json")):
            break
        time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the same command again goes on from there" in err
    assert "Traceback" not in err
    assert any(checkpoints.glob("save-*/manifest.json"))


@pytest.mark.slow
def test_a_reader_that_stops_reading_is_no_error(run_folder: Path, log: Path) -> None:
    program = "from pocketrec.cli import main; main()"
    pipe = f'{sys.executable} -c "{program}" predict {run_folder} {" ".join([str(log)] * 12)} | head -1'
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, timeout=100, check=True)
    assert 0 < float(done.stdout) < 1
    assert done.stderr == ""


# ---------------------------------------------------------------- lean


def fresh(program: str) -> str:
    """The output of a program in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    return done.stdout


def test_help_and_size_need_no_torch() -> None:
    program = (
        "import sys, time\n"
        "from pocketrec.cli import main\n"
        "for words in (['--help'], ['train', '--help'], ['size', 'terabyte', '-b', '16x', '-b', '64GiB']):\n"
        "    sys.argv = ['pocketrec', *words]\n"
        "    began = time.process_time()\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code\n"
        "print('torch' in sys.modules, time.process_time() - began)\n"
    )
    out = fresh(program)
    torch, seconds = out.splitlines()[-1].split()
    assert torch == "False"
    assert float(seconds) < 1.5, "sizing a terabyte by all methods takes .6 s of a quiet processor, more beside others"
    assert "882,774,585 rows" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "LOG", "--out", "file/run"), "Cannot write file/run: file is no folder"),
        (("train", "LOG", "--results", "none/r.jsonl"), "Cannot write none/r.jsonl: there is no folder none"),
        (("train", "LOG", "--cache", "file/cache"), "Cannot write file/cache: Not a directory"),
        (("synth", "file/x.tsv", "--rows", "10"), "Cannot write file/x.tsv: "),
        (("demo", "--out", "file/demo", "--rows", "10"), "Cannot write file/demo: Not a directory"),
        (("report", "RUN/result.jsonl", "--out", "file/page.html"), "Cannot write file/page.html: file is no folder"),
        (("report", "RUN/result.jsonl", "--out", "none/page.html"), "Cannot write none/page.html: there is no folder"),
        (("predict", "RUN", "LOG", "--out", "none/s.txt"), "Cannot write none/s.txt: there is no folder none"),
        (("export", "RUN", "none/m.pt2"), "Cannot write none/m.pt2: "),
    ],
)
def test_a_place_that_cannot_be_written_to_is_named_as_it_was_given(
    pocketrec: Callable[..., Any], run_folder: Path, log: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").touch()
    words = [word.replace("RUN", str(run_folder)).replace("LOG", str(log)) for word in arguments]
    found = pocketrec(*words)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert found.err.startswith(said)
    assert found.err.endswith(". Choose another folder.\n")
    assert ".tmp" not in found.err
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "xdg") == ["file"]
