"""The built-in schema of KuaiRand: what it must have, and what it must never have."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pocketrec.spec.schema import Schema
from pocketrec.spec.schemas import SCHEMAS

SCHEMA = SCHEMAS.get("kuairand")
INPUTS = [f.name for f in (*SCHEMA.dense, *SCHEMA.categorical)]
OUTCOMES = re.compile(
    r"is_\w+|long_view|play_time_ms|\w*_stay_time|watch_ratio|finish|like|long_watch|is_positive|\w*_seq|\w*_cnt"
)
# Columns of a log that are known before the view but are no inputs: the time orders rows, and the rest is the split.
OF_THE_LOG = {"user_id", "video_id", "tab", "author_id", "tag", "video_duration", "freshness_days"}


def test_it_has_the_inputs_that_figures_are_compared_with() -> None:
    assert {"hour", *OF_THE_LOG} <= set(INPUTS)
    assert [f.name for f in SCHEMA.dense] == ["video_duration", "freshness_days"]
    assert [(f.name, f.separator) for f in SCHEMA.bags] == [("tag", ",")]
    assert SCHEMA.label is not None
    assert SCHEMA.time is not None
    assert (SCHEMA.label.name, SCHEMA.time.name, SCHEMA.user) == ("is_click", "time_ms", "user_id")
    assert Schema.from_json(SCHEMA.to_json()) == SCHEMA


@pytest.mark.parametrize("name", INPUTS)
def test_no_input_is_an_outcome_of_the_view(name: str) -> None:
    assert not OUTCOMES.fullmatch(name)


def test_nothing_of_the_real_log_is_an_input_but_what_is_known_before(shared_data: Path) -> None:
    columns = set(pq.read_schema(shared_data / "kuairand_pure" / "test.parquet").names)
    assert columns & set(INPUTS) == OF_THE_LOG
