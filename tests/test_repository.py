"""The repository keeps its own rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "pocketrec"
TESTS = ROOT / "tests"
MODULES = sorted(path.relative_to(SOURCES) for path in SOURCES.rglob("*.py") if path.name != "__init__.py")
METHODS = sorted(path.stem for path in (SOURCES / "compress" / "methods").glob("[!_]*"))
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["type"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}

# The house, from the roof to the ground. A package that is not built yet stands in brackets in pyproject.toml.
HOUSE = [
    {"cli"},
    {"bench", "testing"},
    {"pipeline"},
    {"data", "train", "planner", "serve"},
    {"artifact"},
    {"models"},
    {"compress"},
    {"native"},
    {"metrics"},
    {"spec"},
]
HEAVY = ["jinja2", "numpy", "pandas", "plotly", "pyarrow", "pydantic", "rich", "torch", "typer", "yaml"]


def loaded_by(statement: str) -> set[str]:
    """The top-level names of all modules that a fresh Python has loaded after the statement."""
    program = f"import sys\n{statement}\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


# ---------------------------------------------------------------- mirrored tests


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_a_test_file_of_its_name(module: Path) -> None:
    mirrored = TESTS / module.parent / f"test_{module.name.lstrip('_')}"
    assert mirrored.is_file(), f"src/pocketrec/{module} has no {mirrored.relative_to(ROOT)}"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_test_of_its_name(method: str) -> None:
    assert (TESTS / "compress" / "methods" / f"test_{method}.py").is_file()


def test_methods_are_found() -> None:
    assert {"full", "hash_rows"} <= set(METHODS), "the folder of methods moved, and the test above looks at nothing"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_is_a_drawer_or_a_novel(module: Path) -> None:
    assert module.stem not in {"utils", "util", "helpers", "common", "types", "base", "misc"}
    assert len((SOURCES / module).read_text().splitlines()) <= 400


# ---------------------------------------------------------------- imports


def test_importing_pocketrec_is_lean() -> None:
    assert loaded_by("import pocketrec").isdisjoint(HEAVY)


@pytest.mark.parametrize("package", ["spec", "metrics"])
def test_nouns_and_metrics_load_no_torch(package: str) -> None:
    files = (path for path in (SOURCES / package).glob("*.py") if path.name != "__init__.py")
    names = [f"pocketrec.{package}", *(f"pocketrec.{package}.{path.stem}" for path in files)]
    assert "torch" not in loaded_by(f"import {', '.join(names)}")


def test_the_layers_are_those_of_the_house() -> None:
    assert [{name.strip(" ()") for name in layer.split("|")} for layer in CONTRACTS["layers"]["layers"]] == HOUSE
    assert CONTRACTS["layers"]["exhaustive"] is True
    assert CONTRACTS["layers"]["containers"] == ["pocketrec"]
    assert "ignore_imports" not in CONTRACTS["layers"]


def test_only_packages_that_are_not_built_yet_stand_in_brackets() -> None:
    layers = CONTRACTS["layers"]["layers"]
    optional = {name for layer in layers for name in re.findall(r"\((\w+)\)", layer)}
    assert optional.isdisjoint(path.parent.name for path in SOURCES.glob("*/__init__.py"))


def test_the_other_import_contracts_stand() -> None:
    assert CONTRACTS["independence"]["modules"] == ["pocketrec.compress.methods.*"]
    assert CONTRACTS["forbidden"]["forbidden_modules"] == ["torch"]
    tensorless = {"pocketrec.spec", "pocketrec.metrics"} | (
        {"pocketrec.planner"} if (SOURCES / "planner").exists() else set()
    )
    assert set(CONTRACTS["forbidden"]["source_modules"]) == tensorless


# ---------------------------------------------------------------- the front door


def test_public_names() -> None:
    import pocketrec

    bags = ["EmbeddingBag", "EmbeddingBagCollection", "EmbeddingBagConfig"]
    assert pocketrec.__all__ == [*bags, "__version__", "fit", "load", "size", "train"]
    assert set(pocketrec.__all__) <= set(dir(pocketrec))
    for name in pocketrec.__all__:
        assert getattr(pocketrec, name) is not None
    with pytest.raises(AttributeError, match="'trian'"):
        pocketrec.trian  # noqa: B018


def test_version_is_that_of_pyproject() -> None:
    import pocketrec

    assert pocketrec.__version__ == PYPROJECT["project"]["version"]


@pytest.mark.parametrize(
    "before",
    [
        "pass",
        "import pocketrec.train",
        "from pocketrec.train import trainer",
        "import pocketrec.pipeline",
        "pocketrec.load",
    ],
)
def test_train_stays_the_function_whatever_was_imported_before(before: str) -> None:
    asserts = "import types; assert isinstance(pocketrec.train, types.FunctionType), pocketrec.train"
    loaded_by(f"import pocketrec\n{before}\n{asserts}\nfrom pocketrec.train import trainer")


# ---------------------------------------------------------------- the README


def test_the_readme_names_every_command() -> None:
    named = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert sorted(named) == sorted(path.stem for path in (SOURCES / "cli").glob("[!_]*.py"))


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    program = f"""
import gzip
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic

write_synthetic("clicks.tsv.gz", SyntheticSpec(rows=1000))
names = ["label", *(f"I{{n}}" for n in range(1, 14)), *(f"C{{n}}" for n in range(1, 27))]
rows = [line.rstrip("\\n").split("\\t") for line in gzip.open("clicks.tsv.gz", "rt")][:5]
frame = dict(zip(names, zip(*rows, strict=True), strict=True))
{example}
assert trained.result.promised_bytes == trained.result.held_bytes == trained.result.file_bytes
assert scores.shape == (5,) and bag.embedding_dim == 16
"""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- versions


def pins() -> dict[str, Version]:
    """The pinned versions by canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("==")) for pin in pinned}


def requirements() -> list[str]:
    """Everything that pyproject.toml asks for."""
    project = PYPROJECT["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    return sorted({*PYPROJECT["build-system"]["requires"], *project["dependencies"], *extras})


@pytest.mark.parametrize("text", requirements())
def test_every_requirement_is_pinned_within_its_range(text: str) -> None:
    requirement = Requirement(text)
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_torch_is_pinned_to_the_tested_version() -> None:
    assert str(pins()["torch"]) == "2.13.0"


# ---------------------------------------------------------------- what must not be committed


def tracked() -> list[Path]:
    """The files that git knows; skips outside a checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing to list")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_path_of_one_machine() -> None:
    local = re.compile(rb"/(?:work|home|root|Users)/\w")
    named = [
        f"{path.relative_to(ROOT)}: {found[0]!r}" for path in tracked() if (found := local.search(path.read_bytes()))
    ]
    assert named == []


def test_no_file_is_a_pickle_or_large() -> None:
    def most(path: Path) -> int:
        """A study of every method on three data sets has a thousand lines, and a page that shows them all."""
        shows_all = path.parent == ROOT / "experiments" / "results" or path == ROOT / "docs" / "real.html"
        return 10 << 20 if shows_all else 1 << 20

    wrong = [
        path
        for path in tracked()
        if path.suffix in {".pkl", ".pickle", ".pt", ".pth"} or path.stat().st_size > most(path)
    ]
    assert wrong == []


def test_the_machine_runs_what_a_person_types() -> None:
    runner = ROOT / ".ci" / "run"
    assert runner.stat().st_mode & 0o111, "not executable"
    assert runner.read_text().rstrip().endswith("exec make test")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_submodules_of_pyarrow_are_imported_where_they_are_used(module: Path) -> None:
    # pandas imports them on the side, so that `pa.compute` works here and fails where pandas is not installed
    assert not re.search(r"\bpa\.(compute|csv|parquet|dataset)\b", (SOURCES / module).read_text())
