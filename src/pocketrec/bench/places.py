"""Where the files of a study's data lie; logs that are made on the fly; files that must be the published ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketrec.bench.study import StudyData
from pocketrec.data.journal import write_durably
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.spec.errors import BadFile, OptionError
from pocketrec.spec.writing import writing, written_whole

__all__ = ["check_md5", "data_files", "make_synthetic", "synthetic_spec"]


def data_files(data: StudyData, folder: Path | None, cache: Path, own: tuple[str, ...] | None = None) -> list[str]:
    """The files of one data set, in order; those of a synthetic log may still have to be made.

    Args:
        data: of the study.
        folder: what paths of the study are below; a file, if the study names none.
        cache: folder of encoded data, where synthetic logs are kept too.
        own: names that a cell gives in place of the data's.

    Raises:
        OptionError: there is no folder, or no such file in it.
    """
    if data.synthetic is not None:
        return [str(_synthetic_file(data.synthetic, cache))]
    if folder is None and not Path(data.path).is_absolute():
        raise OptionError(f"{data.name}: the study's files lie in a folder that only you know. Give it: --data FOLDER.")
    root = Path(data.path) if folder is None else folder / data.path
    names = own if own is not None else data.files
    files = [root] if names is None else [root / name for name in names]
    for file in files:
        if not file.exists():
            raise OptionError(f"{data.name}: there is no {file}. Give the folder that it is in: --data FOLDER.")
    return [str(file) for file in files]


def synthetic_spec(settings: Mapping[str, Any]) -> SyntheticSpec:
    """What a study says of a synthetic log, as its spec; OptionError for what cannot be."""
    others = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k != "preset"}
    try:
        return SyntheticSpec.preset(settings.get("preset", "criteo"), **others)
    except TypeError as wrong:
        raise OptionError(f"synthetic: {wrong}. Give a preset, and settings of `pocketrec synth`.") from wrong


def make_synthetic(settings: Mapping[str, Any], cache: Path) -> Path:
    """Write the log of these settings into the cache, unless it is there."""
    file = _synthetic_file(settings, cache)
    if not file.exists():
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as unfinished:
            packed = unfinished.with_name(unfinished.name + ".gz")  # the ending decides whether it is packed
            try:
                write_synthetic(packed, synthetic_spec(settings))
                packed.replace(unfinished)
            finally:
                packed.unlink(missing_ok=True)
    return file


def check_md5(files: list[str], wanted: Mapping[str, str], cache: Path) -> None:
    """Refuse files that are not those that were published.

    What a file was found to hold is remembered by its path, size and time of change.

    Args:
        files: paths.
        wanted: md5 in hexadecimal digits by file name; files without one are not read.
        cache: folder of encoded data.

    Raises:
        BadFile: with both sums.
    """
    for file in map(Path, files):
        if file.name in wanted:
            found = _md5(file, cache)
            if found != wanted[file.name].lower():
                raise BadFile(
                    str(file),
                    f"its md5 is {found}, that of the published file is {wanted[file.name].lower()}. Get the published "
                    "file, or change md5 in the study and the name of its data, which is then another.",
                )


def _synthetic_file(settings: Mapping[str, Any], cache: Path) -> Path:
    """Named after all of its settings, so that another log is another file."""
    synthetic_spec(settings)
    said = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()[:12]
    return cache / "synthetic" / f"{settings.get('preset', 'criteo')}-{said}.txt.gz"


def _md5(file: Path, cache: Path) -> str:
    about = file.stat()
    said = f"{file.resolve()} {about.st_size} {about.st_mtime_ns}"
    kept = cache / "md5" / hashlib.sha256(said.encode()).hexdigest()[:24]
    if kept.exists():
        return kept.read_text(encoding="ascii")
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    with writing(kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_durably(kept, found.encode())
    return found
