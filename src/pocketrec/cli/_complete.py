"""What the shell offers after the words of a command: names of files in our folders, none of which is imported."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

__all__ = ["bad_rows", "budgets", "methods", "models", "optimizers", "schemas", "storages"]

_HOUSE = Path(__file__).parent.parent
_BUDGETS = (
    ("16x", "a sixteenth of plain float32 tables"),
    ("10x", "a tenth"),
    ("100x", "a hundredth"),
    ("1000x", "a thousandth"),
    ("5%", "a twentieth"),
    ("64MiB", "bytes"),
    ("1GiB", "bytes"),
)


def methods(incomplete: str) -> list[str]:
    """How tables are stored."""
    return _names("compress/methods", incomplete)


def storages(incomplete: str) -> list[str]:
    """In what numbers vectors are kept."""
    return _names("compress/storage", incomplete)


def models(incomplete: str) -> list[str]:
    """Which net."""
    return _names("models", incomplete)


def schemas(incomplete: str) -> list[str]:
    """Built-in schemas, and schema files beside the user."""
    return _names("spec/schemas", incomplete) + _files(incomplete, (".yaml", ".yml", ".json"))


def budgets(incomplete: str) -> list[tuple[str, str]]:
    """Examples of budgets."""
    return [(text, help_) for text, help_ in _BUDGETS if text.startswith(incomplete)]


def optimizers(incomplete: str) -> list[str]:
    """Of looked-up rows."""
    return [name for name in ("adagrad", "adam", "rowwise_adagrad", "sgd") if name.startswith(incomplete)]


def bad_rows(incomplete: str) -> list[str]:
    """What happens to rows that cannot be read."""
    return [mode for mode in ("fail", "skip") if mode.startswith(incomplete)]


def _names(folder: str, incomplete: str) -> list[str]:
    """The things of a folder, as `pocketrec.spec.registry.Folder` names them, without importing its package."""
    here = (_HOUSE / folder).iterdir()
    found = {path.stem for path in here if path.suffix == ".py" or (path / "__init__.py").is_file()}
    found = {name for name in found - {"parts"} if name[0] != "_"}
    brought = importlib.metadata.entry_points(group=f"pocketrec.{Path(folder).name}")
    return sorted(name for name in found | set(brought.names) if name.startswith(incomplete))


def _files(incomplete: str, endings: tuple[str, ...]) -> list[str]:
    """Files of these endings, and folders, that begin with what was typed."""
    if not incomplete:
        return []
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    start = "" if incomplete.endswith("/") else typed.name
    try:
        near = sorted(path for path in folder.iterdir() if path.name.startswith(start))
    except OSError:
        return []
    return [f"{path}/" if path.is_dir() else str(path) for path in near if path.is_dir() or path.suffix in endings]
