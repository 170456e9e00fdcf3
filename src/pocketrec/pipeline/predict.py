"""Scores of whole files, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.columns import read_columns
from pocketrec.data.readers import READERS, Place
from pocketrec.data.sources import source_files
from pocketrec.data.text_blocks import first_line
from pocketrec.metrics import Metrics, StreamingMetrics
from pocketrec.pipeline.recommender import Recommender
from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import Schema

__all__ = ["evaluate_files", "predict_files", "write_scores"]


def predict_files(recommender: Recommender, files: Sequence[str | Path]) -> Iterator[NDArray[np.float32]]:
    """Probabilities of a click for all rows of the files, block by block, float32 [rows of the block].

    Args:
        recommender: whose schema the files have; label and weight may be absent.
        files: files or folders, in order.

    Raises:
        BadRow, BadFile: name file, row and column.
    """
    schema, bad = recommender.encoder.schema, BadRows("fail")
    for file in (f for place in files for f in source_files(place, schema)):
        here = _present(file, schema)
        for block in READERS.get(schema.format).blocks(file, here, bad, Place()):
            read = _inputs_only(here)
            columns = read_columns(block.table, read, file=str(file), rows=block.rows, bad=bad)
            yield recommender.predict_columns(columns)


def write_scores(scores: Iterable[NDArray[np.float32]], file: TextIO) -> None:
    """One probability per line, with as many digits as a float32 needs."""
    for block in scores:
        file.write("".join(f"{value:.9g}\n" for value in block.tolist()))


def _present(file: Path, schema: Schema) -> Schema:
    """The schema of this file's columns: files without a header may come without label and weight."""
    unlabelled = schema.unlabelled()
    headless = schema.format == "criteo" or (schema.format == "csv" and not schema.header)
    if not headless:
        return unlabelled
    delimiter = b"\t" if schema.format == "criteo" else schema.delimiter.encode()
    columns = first_line(file)[0].count(delimiter) + 1
    return unlabelled if columns == len(unlabelled.fields) else schema


def _inputs_only(schema: Schema) -> Schema:
    """Nothing but what a score depends on: a wrong label or time must not stop a prediction."""
    return replace(schema, fields=tuple(f for f in schema.fields if f.kind in ("dense", "categorical")))


def evaluate_files(recommender: Recommender, files: Sequence[str | Path]) -> Metrics:
    """All metrics over labelled files, in bounded memory.

    Raises:
        SchemaError: a file has no label. BadRow, BadFile: name file, row and column.
    """
    schema, bad, metrics = recommender.encoder.schema, BadRows("fail"), StreamingMetrics()
    if schema.label is None:
        raise SchemaError("The schema has no label, so there is nothing to compare scores with.")
    read = replace(schema, fields=tuple(f for f in schema.fields if f.kind != "time"))
    for file in (f for place in files for f in source_files(place, schema)):
        for block in READERS.get(schema.format).blocks(file, schema, bad, Place()):
            columns = read_columns(block.table, read, file=str(file), rows=block.rows, bad=bad)
            assert columns.label is not None
            metrics.update(columns.label, recommender.logits_of_columns(columns), columns.weight)
    return metrics.result()
