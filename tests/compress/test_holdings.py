from __future__ import annotations

import pytest

from pocketrec.compress.holdings import (
    Array,
    Fixed,
    Matrix,
    Rows,
    Scratch,
    Served,
    serve_tensors,
    state_tensors,
    train_tensors,
)
from pocketrec.spec.optimizer import OptimizerSpec

HELD = (
    Rows("rows", 10, 6), Array("array", 100), Matrix("widen", (2, 3, 6)), Fixed("map", (10,), "int32"),
    Scratch("scores", (10,), "float32"), Served("tags", (10,), "int32"),
)  # fmt: skip


def described(tensors: object) -> list[tuple[str, tuple[int, ...], str, str]]:
    return [(t.name, t.shape, t.dtype, t.role) for t in tensors]  # type: ignore[attr-defined]


def test_what_is_served_is_in_the_storage() -> None:
    assert described(serve_tensors(HELD, "int8")) == [
        ("rows", (10, 14), "uint8", "weights"),
        ("array", (2, 72), "uint8", "weights"),
        ("widen", (2, 3, 6), "float32", "matrix"),
        ("map", (10,), "int32", "fixed"),
        ("tags", (10,), "int32", "fixed"),
    ]
    assert [t.nbytes for t in serve_tensors(HELD, "float16")] == [120, 200, 144, 40, 40]
    assert described(serve_tensors(HELD, "int4"))[:2] == [
        ("rows", (10, 7), "uint8", "weights"),
        ("array", (2, 36), "uint8", "weights"),
    ]


@pytest.mark.parametrize("storage", ["float32", "float16", "int8", "int4"])
def test_what_is_trained_is_in_floats_and_scratch_is_there(storage: str) -> None:
    assert described(train_tensors(HELD, storage)) == [
        ("rows", (10, 6), "float32", "weights"),
        ("array", (100,), "float32", "weights"),
        ("widen", (2, 3, 6), "float32", "matrix"),
        ("map", (10,), "int32", "fixed"),
        ("scores", (10,), "float32", "training"),
    ]


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("sgd", []),
        ("rowwise_adagrad", [("rows.sum", (10,)), ("array.sum", (100,))]),
        ("adagrad", [("rows.sum", (10, 6)), ("array.sum", (100,))]),
        (
            "adam",
            [("rows.first", (10, 6)), ("array.first", (100,)), ("rows.second", (10, 6)), ("array.second", (100,))],
        ),
    ],
)
def test_the_optimizers_state(name: str, state: list[tuple[str, tuple[int, ...]]]) -> None:
    tensors = state_tensors(HELD, OptimizerSpec(name=name), "int8_trained")  # type: ignore[arg-type]
    assert described(tensors) == [(n, shape, "float32", "training") for n, shape in state]


def test_a_matrix_that_is_not_served_is_trained_all_the_same() -> None:
    held = Matrix("centroids", (2, 3, 6), served=False)
    assert described(serve_tensors([held], "int8")) == []
    assert described(train_tensors([held], "int8")) == [("centroids", (2, 3, 6), "float32", "matrix")]
    assert state_tensors([held], OptimizerSpec(name="adam"), "alpt") == ()


@pytest.mark.parametrize(
    ("name", "kinds"), [("sgd", []), ("rowwise_adagrad", ["sum"]), ("adagrad", ["sum"]), ("adam", ["first", "second"])]
)
def test_scales_that_learn_have_state_behind_that_of_the_weights(name: str, kinds: list[str]) -> None:
    spec = OptimizerSpec(name=name)  # type: ignore[arg-type]
    plain, learned = (described(state_tensors(HELD, spec, storage)) for storage in ("int8_trained", "alpt"))
    assert learned[: len(plain)] == plain
    assert [t[:2] for t in learned[len(plain) :]] == [
        found for kind in kinds for found in ((f"rows.scale_{kind}", (10,)), (f"array.scale_{kind}", (0,)))
    ]
