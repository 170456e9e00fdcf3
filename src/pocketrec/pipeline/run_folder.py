"""The folder of a run: which run it belongs to, and its result once there is one.

::

    run/run.json          what was asked for, written before anything else
    run/checkpoints/      where training stands
    run/model/            the artifact
    run/result.jsonl      one line, written last: the run is finished
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketrec.data.journal import write_durably
from pocketrec.spec.errors import ArtifactError
from pocketrec.spec.result import Result, read_results
from pocketrec.spec.writing import writing

__all__ = ["RunFolder"]


class RunFolder:
    """The folder of one run. It becomes its own with :meth:`claim`; one in which nothing was trained is nobody's.

    Args:
        path: the folder; it need not be there.
        about: plain values that say which run this is. Equal values, the same run.

    Raises:
        ArtifactError: the folder holds another run; what differs is named.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self._asked: dict[str, Any] = json.loads(json.dumps(about, allow_nan=False))
        there = self._about()
        if there not in (None, self._asked) and (self.begun or self.trained):
            raise ArtifactError(
                f"{path} holds another run: {_differences(there or {}, self._asked)}. "
                "Take another folder (--out), or delete this one to start anew."
            )

    def claim(self) -> None:
        """Make the folder and write down whose it is."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            write_durably(self.path / "run.json", json.dumps(self._asked, indent=1).encode() + b"\n")

    @property
    def checkpoints(self) -> Path:
        """Where training keeps its checkpoints."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The artifact's folder."""
        return self.path / "model"

    @property
    def begun(self) -> bool:
        """Whether training wrote checkpoints here before."""
        return self.checkpoints.is_dir() and any(self.checkpoints.iterdir())

    @property
    def trained(self) -> bool:
        """Whether there is an artifact."""
        return (self.model / "manifest.json").exists()

    def result(self) -> Result | None:
        """The result of a finished run whose artifact is still there."""
        if not (self.path / "result.jsonl").exists() or not self.trained:
            return None
        return read_results(self.path / "result.jsonl")[-1]

    def finish(self, result: Result) -> None:
        """Write the result: from now on the run is finished."""
        with writing(self.path / "result.jsonl"):
            write_durably(self.path / "result.jsonl", result.to_json_line().encode() + b"\n")

    def _about(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as wrong:
            raise ArtifactError(f"{self.path / 'run.json'} is not of a run: {wrong}. Take another folder.") from wrong
        return found if isinstance(found, dict) else {}


# Of these only hashes are kept.
_HASHES = {
    "data": "its data is not the same (other files, files that changed since, another schema or split)",
    "start": "it continues another artifact, or none",
}


def _differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    before, now = _flat(there), _flat(asked)
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    said = [_HASHES.get(key) or f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in keys]
    return "; ".join(said) or "its settings have other keys"


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found
