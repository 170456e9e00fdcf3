"""Files of studies: what they may say, and what is said of hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec.bench.study import read_study
from pocketrec.spec.errors import OptionError

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
WHOLE = """
seeds = [0, 1]
budgets = ["10x", 20236]
final = { best = 2, seeds = [0, 1, 2] }
methods = ["min_count",
           { name = "robe", options = { block = 4 }, storages = ["float32", "int8"], "optimizer.lr" = 0.1 },
           { name = "full", budgets = ["1x"] }]
[base]
dim = 4
[[data]]
name = "clicks"
path = "folder"
files = ["a.csv", "b.csv"]
md5 = { "a.csv" = "00" }
schema = "frappe"
"model.top" = [8]
tuning = { at = "20x" }
[[data]]
name = "made"
synthetic = { preset = "criteo", rows = 100 }
budgets = ["2x"]
[tuning]
trials = 3
[tuning.space]
"optimizer.lr" = { low = 0.001, high = 0.1, log = true }
[tuning.methods.robe]
"options.block" = [1, 8]
"""


def read(tmp_path: Path, text: str) -> object:
    file = tmp_path / "s.toml"
    file.write_text(text, encoding="utf-8")
    return read_study(file)


def test_everything_that_a_study_may_say(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(WHOLE, encoding="utf-8")
    study = read_study(tmp_path / "s.toml")
    assert (study.title, study.seeds, study.budgets) == ("s", (0, 1), ("10x", 20236))
    clicks, made = study.data
    assert (clicks.path, clicks.files, clicks.md5) == ("folder", ("a.csv", "b.csv"), {"a.csv": "00"})
    assert clicks.values == {"schema": "frappe", "model.top": [8]}
    assert (clicks.tuning_at, made.tuning_at, made.budgets) == ("20x", None, ("2x",))
    assert made.synthetic == {"preset": "criteo", "rows": 100}
    plain, robe, full = study.methods
    assert (plain.name, plain.storages, full.budgets) == ("min_count", (), ("1x",))
    assert robe.values == {"options.block": 4, "optimizer.lr": 0.1}
    assert robe.label == "robe optimizer.lr=0.1 options.block=4"
    assert study.tuning is not None
    assert (study.tuning.at, study.tuning.trials, study.tuning.seed) == ("100x", 3, 0)
    assert list(study.tuning.space_of("robe")) == ["optimizer.lr", "options.block"]
    assert list(study.tuning.space_of("min_count")) == ["optimizer.lr"]
    assert study.final is not None
    assert (study.final.best, study.final.seeds) == (2, (0, 1, 2))


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda f: f.stem)
def test_every_study_of_this_repository_is_read(file: Path) -> None:
    study = read_study(file)
    assert study.seeds
    assert study.cells or study.methods


LEAST = 'seeds = [0]\n[base]\n[[cells]]\nmethod = "full"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [0]", "nothing to run: give cells, or methods and budgets"),
        ("seeds = [0", r"s\.toml: this study cannot be read"),
        ("\x00", "cannot be read"),
        ('[[cells]]\nmethod = "full"', r"s\.toml: seeds: give one or more different numbers"),
        (LEAST.replace("[0]", "[0, 0]"), "seeds: give one or more different"),
        (LEAST.replace("[0]", "[-1]"), "seeds: give one or more different"),
        (LEAST.replace("[0]", '"many"'), "seeds"),
        (LEAST.replace("seeds", "seesd"), r"seesd: there is no such key; did you mean 'seeds'|seeds: give one"),
        (LEAST + "mehtod = 1", r"s\.toml: cells\[0\]: mehtod: there is no such key; did you mean 'method'\?"),
        (LEAST + 'data = "b"', r"cells\[0\]: no data is called 'b'"),
        ("cells = [3]\nseeds = [0]", r"cells\[0\] must be a table"),
        ('seeds = [0]\nmethods = ["full"]', "budgets is missing: full has none"),
        ('seeds = [0]\nmethods = ["full", "full"]\nbudgets = ["1x"]', "methods: 'full' is there twice"),
        ('seeds = [0]\nmethods = [{ nmae = "full" }]\nbudgets = ["1x"]', r"methods\[0\]: name is missing"),
        (
            'seeds = [0]\nbudgets = ["1x"]\n[[methods]]\nname = "full"\nstorages = ["int8"]\noptions.storage = "int8"',
            "storages and options.storage say the same",
        ),
        (LEAST + "[tuning]\ntrials = 2", "tuning is of methods, and the study has none"),
        (LEAST + "[final]\nseeds = [0]", "final is of methods"),
        ('methods = ["full"]\nseeds = [0]\nbudgets = ["1x"]\n[final]\nseeds = [1]', r"must hold those of all methods"),
        ('methods = ["full"]\nseeds = [0]\nbudgets = ["1x"]\n[final]\nseeds = [0]\nbest = 0', "best must be 1 or more"),
        ('methods = ["full"]\nseeds = [0]\nbudgets = ["1x"]\n[tuning]\ntrails = 1', "did you mean 'trials'"),
        ('methods = ["full"]\nseeds = [0]\nbudgets = ["1x"]\n[tuning]\ntrials = 0', "trials must be 1 or more"),
        (
            'methods = ["full"]\nseeds = [0]\nbudgets = ["1x"]\n[tuning.methods.ful]\n"optimizer.lr" = [1, 2]',
            "ful is no method of the study; did you mean 'full'",
        ),
        (
            'methods = ["full"]\nseeds = [0]\nbudgets = ["1x"]\n[tuning.space]\n"split.train" = ["1/2", "1/3"]',
            r"tuning\.space: split\.train: this cannot be tuned",
        ),
        ('methods = ["full"]\nseeds = [0]\nbudgets = ["1x"]\n[tuning.space]\nseed = [1, 2]', "this cannot be tuned"),
        (LEAST + '[[data]]\npath = "x"', r"data\[0\]: name is missing"),
        (LEAST + '[[data]]\nname = "x"\n[[data]]\nname = "x"', "data: 'x' is there twice"),
        (LEAST + '[[data]]\nname = "x"\npath = "y"\nsynthetic = {}', "leave out path, files and md5"),
        (LEAST + '[[data]]\nname = "x"\npath = "y"\nmd5 = { z = "0" }', "md5: z is none of the files"),
        (LEAST + '[[data]]\nname = "x"\ntuning = { ta = "1x" }', "ta: there is no such key; known: at"),
    ],
)
def test_hostile_files_are_told_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message) as found:
        read(tmp_path, text)
    assert "s.toml" in str(found.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there is no such study"):
        read_study(tmp_path / "none.toml")
    with pytest.raises(OptionError, match="cannot be read"):
        read_study(tmp_path)
