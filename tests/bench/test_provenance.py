from __future__ import annotations

from pocketrec.bench.provenance import broken, commands, counted, facts


def test_what_stands_at_the_top(study, make_run) -> None:
    assert facts(study) == [
        ("18", "runs"), ("1", "data set"), ("3", "methods"), ("3", "budgets"), ("3", "seeds"), ("2", "skipped"),
        ("18 of 18", "promised = held = file"),
    ]  # fmt: skip
    assert facts([make_run(file_bytes=None)])[-1] == ("1 of 1", "promised = held (= file, where one was written)")
    assert facts([make_run(promised_bytes=None)])[-1] == ("1", "seed")


def test_bytes_that_differ_are_named(make_run) -> None:
    assert broken([make_run()]) == []
    assert broken([make_run(), make_run(file_bytes=20_240, seed=9)]) == [
        "sample, robe float32 at 16x, seed 9: promised 20232, held 20232, file 20240 bytes"
    ]


def test_commands_that_differ_by_seed_share_a_line(make_run) -> None:
    said = "pocketrec train log.tsv --budget {budget} --seed {seed} --json"
    runs = [
        make_run(seed=s, budget=b, command=said.format(budget=b, seed=s)) for b in ("16x", "32x") for s in (0, 1, 2)
    ]
    assert commands([*runs, make_run(command="pocketrec demo"), make_run(command="")]) == [
        "pocketrec train log.tsv --budget 16x --seed 0 --json  # also with seeds 1, 2",
        "pocketrec train log.tsv --budget 32x --seed 0 --json  # also with seeds 1, 2",
        "pocketrec demo",
    ]


def test_texts_are_counted_in_order() -> None:
    assert counted(["b", "a", "b"]) == [("b", 2), ("a", 1)]
