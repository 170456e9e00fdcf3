from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketrec.metrics import measures
from pocketrec.metrics.measure import Metric
from pocketrec.metrics.registry import MEASURES
from pocketrec.metrics.rows import Rows
from pocketrec.spec.errors import UnknownName

HERE = Path(__file__).parent


def some_rows(size: int, *, seed: int = 0) -> Rows:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=size).round(1)
    return Rows.checked(generator.random(size) < 1 / (1 + np.exp(-logits)), logits)


def test_names_are_the_names_of_the_files() -> None:
    files = {path.stem for path in Path(measures.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(MEASURES.names()) == files
    assert files == {"auc", "calibration", "calibration_error", "logloss", "normalised_entropy"}


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"No measure called 'acu'\. Did you mean 'auc'\?"):
        MEASURES.get("acu")


@pytest.mark.parametrize("name", MEASURES.names())
class TestEveryMeasure:
    def test_has_a_title_and_a_test_file_of_its_name(self, name: str) -> None:
        metric = MEASURES.get(name)
        assert isinstance(metric, Metric)
        assert metric.title
        assert (HERE / "measures" / f"test_{name}.py").is_file()

    def test_is_not_defined_without_rows(self, name: str) -> None:
        assert MEASURES.get(name).start(10).value() is None

    @pytest.mark.parametrize("exact_rows", [0, 60, 1000])
    def test_neither_order_nor_portions_change_it(self, name: str, exact_rows: int) -> None:
        portions = [some_rows(size, seed=size) for size in (1, 17, 40, 0, 5)]
        metric, values = MEASURES.get(name), set()
        for order in ([0, 1, 2, 3, 4], [4, 2, 3, 0, 1], [3, 4, 1, 0, 2]):
            measure = metric.start(exact_rows)
            for k in order:
                measure.update(portions[k])
            values.add(measure.value())
            left, right = metric.start(exact_rows), metric.start(exact_rows)
            for k in order:
                (left if k % 2 else right).update(portions[k])
            before = right.value()
            left.merge(right)
            values.add(left.value())
            assert right.value() == before
        assert len(values) == 1
        assert None not in values

    def test_merging_with_itself_counts_every_row_twice(self, name: str) -> None:
        rows = some_rows(50)
        once = MEASURES.get(name).start(1000)
        once.update(rows)
        value = once.value()
        once.merge(once)
        assert once.value() == pytest.approx(value, rel=1e-12)
