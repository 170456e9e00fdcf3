"""Raw logs to an encoded cache: once, resumable after a kill, opened at once ever after."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketrec.data.bad_rows import BadRowsMode
from pocketrec.data.cache import CACHE_VERSION, CacheFiles
from pocketrec.data.dataset import Dataset
from pocketrec.data.encoder import Encoder
from pocketrec.data.journal import Journal, sync_folder, write_durably
from pocketrec.data.read_pass import Progress, ReadPass, silent
from pocketrec.data.readers import READERS
from pocketrec.data.sources import Source, source_files
from pocketrec.data.split import Split
from pocketrec.data.write_pass import WritePass
from pocketrec.spec.errors import BadFile, OptionError
from pocketrec.spec.schema import Schema
from pocketrec.spec.writing import writing

__all__ = ["prepare"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    files: tuple[Path, ...]
    schema: Schema
    split: Split
    bad_rows: BadRowsMode
    encoder: Encoder | None
    progress: Progress


def prepare(
    source: Source,
    schema: Schema,
    *,
    cache: str | Path,
    split: Split,
    bad_rows: BadRowsMode = "fail",
    encoder: Encoder | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Encode a log, or open what was encoded before.

    The cache's key is made of the paths, sizes and times of change of the files and of those joined to them, the
    schema, the split, `bad_rows`, the encoder and the cache's version; another key is another cache beside it. Two
    processes may ask for the same cache at the same time: one makes it, the other waits.

    Args:
        source: a file, a folder of parts, or a list of files in order.
        schema: of the files.
        cache: folder that holds caches; made if need be.
        split: which rows train, choose and judge.
        bad_rows: ``fail`` raises at the first bad row, ``skip`` counts it (`Dataset.skipped_rows`).
        encoder: continue its vocabularies: known tokens keep their ids, new ones get the next; dense numbers stay.
        progress: told where the work is.

    Raises:
        BadRow, BadFile: naming file, row and column.
        SchemaError: when schema and files do not fit.
        OptionError: when the split wants more rows than there are.
    """
    files = source_files(source, schema)
    if encoder is not None and encoder.schema != schema:
        raise OptionError("The encoder was made with another schema than the one given.")
    job = _Job(files=files, schema=schema, split=split, bad_rows=bad_rows, encoder=encoder, progress=progress)
    folder = Path(cache)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    final = folder / _key(job)
    if not final.is_dir():
        with _own(final.with_suffix(".work")) as work:
            if final.is_dir():  # another process made it while we waited
                shutil.rmtree(work)
            else:
                _make(job, work, final)
    return Dataset.open(final)


def _make(job: _Job, work: Path, final: Path) -> None:
    journal = Journal(work)
    known = {table: v.tokens() for table, v in job.encoder.vocabularies.items()} if job.encoder else {}
    # The pass and its vocabularies are the largest thing in memory; they must be gone before ranking.
    skipped = ReadPass(journal, job.schema, job.split, known).run(job.files, job.bad_rows, job.progress)
    new = work / "cache"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    writing = WritePass(journal, CacheFiles(new), job.schema, job.split, job.encoder)
    if not writing.order.total:
        names = ", ".join(str(f) for f in job.files)
        raise BadFile(names, f"there is no good row. Skipped: {skipped or 'none'}.")
    writing.run(skipped, job.progress)
    summary = Dataset.open(new).summary().to_json()
    write_durably(new / "statistics.json", json.dumps(summary, indent=1).encode())
    new.rename(final)
    sync_folder(final.parent)
    shutil.rmtree(work)


def _key(job: _Job) -> str:
    reader = READERS.get(job.schema.format)
    beside = [other for file in job.files for other in reader.companions(file, job.schema)]
    stats = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in dict.fromkeys([*job.files, *beside])]
    parts = [CACHE_VERSION, stats, job.schema.to_json(), job.split.to_json(), job.bad_rows]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    if job.encoder is not None:
        digest.update(json.dumps(job.encoder.to_json(), sort_keys=True).encode())
        for name, array in job.encoder.to_arrays().items():
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:20]


@contextmanager
def _own(work: Path) -> Iterator[Path]:
    """Make the folder of unfinished work and lock it; the lock goes with the process, even a killed one."""
    while True:
        work.mkdir(exist_ok=True)
        handle = os.open(work, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Another process may have finished and removed the folder while we waited for it: then begin again.
            if work.exists() and work.stat().st_ino == os.fstat(handle).st_ino:
                yield work
                return
        finally:
            os.close(handle)
