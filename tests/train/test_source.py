"""What the trainer asks of data is little enough that a test's source and the pipeline's both give it."""

from __future__ import annotations

from itertools import islice
from types import ModuleType

from pocketrec.pipeline.data import PartSource, RunData
from pocketrec.train import source


def named(protocol: type) -> set[str]:
    """The members that a protocol asks for."""
    return {name for name in {**vars(protocol), **protocol.__annotations__} if not name.startswith("_")}


def test_a_batch_is_tensors() -> None:
    assert named(source.Batch) == {"dense", "ids", "offsets", "value_weights", "label", "weight", "user"}


def test_the_pipeline_and_the_tests_give_what_is_asked(planted: ModuleType) -> None:
    for kind in (PartSource, planted.Source):
        assert named(source.BatchSource) == {"batch_count", "batches"} <= set(dir(kind))
    for kind in (RunData, planted.Data):
        assert named(source.TrainingData) == {"source"} <= set(dir(kind))


def test_batches_of_the_planted_source_are_a_pure_function_of_seed_epoch_and_number(planted: ModuleType) -> None:
    # the tests of resume lean on it
    made = planted.Source(rows=planted.clicks(23, seed=0))
    for order in ("time", "shuffle"):
        settings = {"batch_size": 5, "order": order, "seed": 2}
        whole = list(made.batches(**settings, epoch=1, start=0))
        rest = list(made.batches(**settings, epoch=1, start=3))
        assert len(whole) == made.batch_count(5) == 5
        assert [b.dense.tolist() for b in whole[3:]] == [b.dense.tolist() for b in rest]
        other = list(made.batches(**settings, epoch=2, start=0))
        assert (whole[0].dense.tolist() == other[0].dense.tolist()) == (order == "time")


def test_endless_batches_go_through_epoch_after_epoch_from_any_number_on(planted: ModuleType) -> None:
    made = planted.Source(rows=planted.clicks(23, seed=0))
    settings = {"batch_size": 5, "order": "shuffle", "seed": 2}
    wanted = [b.dense.tolist() for epoch in range(3) for b in made.batches(**settings, epoch=epoch, start=0)]
    for start in (0, 3, 5, 12):
        found = islice(source.endless(made, **settings, start=start), 15 - start)
        assert [b.dense.tolist() for b in found] == wanted[start:]


def test_a_share_is_the_first_batches_of_each_epoch_from_any_number_on(planted: ModuleType) -> None:
    made = planted.Source(rows=planted.clicks(23, seed=0))
    few = source.share_of(made, 0.5)
    settings = {"batch_size": 5, "order": "shuffle", "seed": 2}
    assert (few.batch_count(5), source.share_of(made, 1e-9).batch_count(5)) == (3, 1)
    for epoch in (0, 1):
        wanted = [b.dense.tolist() for b in made.batches(**settings, epoch=epoch, start=0)][:3]
        for start in (0, 2, 3):
            found = [b.dense.tolist() for b in few.batches(**settings, epoch=epoch, start=start)]
            assert found == wanted[start:]
    assert source.share_of(made, 1.0) is made
