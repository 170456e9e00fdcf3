"""Scores of whole files, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from pocketrec.data.bad_rows import BadRows, BadRowsMode
from pocketrec.data.columns import Columns, read_columns
from pocketrec.data.fitting import INPUTS, fitting_by_name, only
from pocketrec.data.readers import READERS, Place
from pocketrec.data.sources import source_files
from pocketrec.metrics import Metrics, StreamingMetrics
from pocketrec.pipeline.recommender import Recommender, probabilities
from pocketrec.spec.errors import BadRow, DataError, SchemaError
from pocketrec.spec.schema import Schema

__all__ = ["evaluate_files", "predict_files", "write_scores"]


def predict_files(recommender: Recommender, files: Sequence[str | Path]) -> Iterator[NDArray[np.float32]]:
    """Probabilities of a click for all rows of the files in order, float32 [rows of a portion].

    Args:
        recommender: whose schema the files have. Label, weight and time may be absent and are not looked at.
        files: files or folders, in order.

    Raises:
        BadFile: names the file. DataError: names file, row and column of a row that cannot be read; none is skipped,
            because the scores would no longer stand in the order of the rows.
    """
    schema = recommender.encoder.schema
    blocks = _blocks(files, schema, [only(schema, INPUTS)], BadRows("fail", skippable=False))
    try:
        for _, logits in recommender.score_blocks(blocks):
            yield probabilities(logits)
    except BadRow as bad:
        column = "" if bad.column is None else f", column {bad.column}"
        raise DataError(
            f"{bad.file}, row {bad.row}{column}: {bad.why}. Mend or remove the row: every row gets one score, so that "
            "scores and rows stay in one order."
        ) from bad


def evaluate_files(
    recommender: Recommender, files: Sequence[str | Path], *, bad_rows: BadRowsMode = "fail"
) -> tuple[Metrics, dict[str, int]]:
    """All metrics over labelled files, in bounded memory; weighted where the files have the schema's weight.

    Args:
        recommender: whose schema the files have. Weight and time may be absent.
        files: files or folders, in order.
        bad_rows: ``fail`` at the first row that cannot be read, or ``skip`` and count them.

    Returns:
        The metrics, and what was skipped: counts by column and reason.

    Raises:
        SchemaError: there is no label. BadRow, BadFile: name file, row and column.
    """
    schema, bad, metrics = recommender.encoder.schema, BadRows(bad_rows), StreamingMetrics()
    if schema.label is None:
        raise SchemaError("The schema has no label, so there is nothing to compare scores with.")
    forms = [only(schema, INPUTS | {"label", "weight"}), only(schema, INPUTS | {"label"})]
    for rows, logits in recommender.score_blocks(_blocks(files, schema, forms, bad)):
        assert rows.label is not None, "every form has the label"
        metrics.update(rows.label, logits, rows.weight, rows.user)
    return metrics.result(), bad.counts


def write_scores(scores: Iterable[NDArray[np.float32]], file: TextIO) -> None:
    """One probability per line, with as many digits as a float32 needs."""
    for portion in scores:
        file.write("".join(f"{value:.9g}\n" for value in portion.tolist()))


# -- files -----------------------------------------------------------------------------------------------------------


def _blocks(files: Sequence[str | Path], schema: Schema, forms: Sequence[Schema], bad: BadRows) -> Iterator[Columns]:
    """The checked rows of all files, block by block.

    Args:
        files: files or folders.
        schema: of files that have all columns.
        forms: which of its fields to read; the first of these that a file has, else the last.
        bad: takes bad rows.
    """
    reader = READERS.get(schema.format)
    for file in (f for place in files for f in source_files(place, schema)):
        layout = reader.fitting(file, schema, forms)
        form = fitting_by_name({f.name for f in layout.fields}, forms)
        for block in reader.blocks(file, layout, bad, Place()):
            yield read_columns(block.table, form, file=str(file), rows=block.rows, bad=bad)
