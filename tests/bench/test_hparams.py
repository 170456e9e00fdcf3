"""TensorBoard's table of runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketrec.bench.hparams import add_hparams, check_tensorboard
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.errors import OptionError
from pocketrec.spec.result import Result


def test_settings_metrics_bytes_and_times_are_there(make_run: Callable[..., Result], tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = RunConfig.from_json({"data": ["x"], "method": "robe", "options": {"block": 4}, "model": {"top": [8]}})
    add_hparams(tmp_path, config, make_run(ms_per_batch=2.5))
    found = events.EventAccumulator(str(tmp_path))
    found.Reload()
    scalars = {tag: found.Scalars(tag)[-1].value for tag in found.Tags()["scalars"]}
    assert scalars["test/auc"] == pytest.approx(0.75)
    assert scalars["validation/auc"] == pytest.approx(0.74)
    assert (scalars["cell/ms_per_batch"], scalars["cell/held_bytes"], scalars["cell/epochs"]) == (2.5, 20232, 2)
    assert "cell/ns_per_lookup" not in scalars, "it was not measured"
    plugin = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    for said in (b"options.block", b"method", b"robe", b"train.batch_size", b"(8,)"):
        assert said in plugin
    assert b"schema" not in plugin


def test_without_tensorboard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(OptionError, match=r"pip install 'pocketrec\[tensorboard\]'"):
        check_tensorboard()
