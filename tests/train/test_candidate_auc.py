"""A candidate's AUC is that of scoring all of its rows."""

from __future__ import annotations

from types import ModuleType

import pytest

from pocketrec.metrics import evaluate
from pocketrec.spec.errors import TrainingError
from pocketrec.spec.stage import Stage
from pocketrec.train import TrainConfig, scores_of
from pocketrec.train.candidate_auc import candidate_auc


@pytest.mark.parametrize("rows", [None, 90])
def test_it_is_the_auc_of_the_first_rows(planted: ModuleType, rows: int | None) -> None:
    model, source = planted.trainer(config={"epochs": 1}).run().model, planted.data(10, 300).validation
    stage, config = Stage(name="evolve", scores=3, score_rows=rows), TrainConfig(evaluation_batch_size=50)
    found = scores_of(model, source, batch_size=300)
    wanted = evaluate(found.labels[:rows], found.logits[:rows], None).auc
    assert candidate_auc(model, source, stage, config) == pytest.approx(wanted, abs=1e-6)


def test_rows_of_one_class_are_refused(planted: ModuleType) -> None:
    source = planted.data(10, 60).validation
    source.rows.label.zero_()
    model = planted.trainer(config={"epochs": 1}).run().model
    with pytest.raises(TrainingError, match=r"'evolve' scores candidates.*its 60 validation rows are of one class"):
        candidate_auc(model, source, Stage(name="evolve", scores=3), TrainConfig())
