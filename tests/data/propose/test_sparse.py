from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec.data.check.check import check
from pocketrec.data.propose.propose import propose
from pocketrec.data.propose.sparse import sparse_guesses

FORMS = {
    "fields of one token": (["-1 3:1 7:1", "1 3:1 9:1"], ["label", "categorical", "categorical"]),
    "a bag": (["0 3:1 7:1 9:1", "1 3:1", "1 7:1 8:1"], ["label", "categorical"]),
    "numbers": (["1 1:0.5 2:-3 # why", "0 2:1e2"], ["label", "dense", "dense"]),
    "fields": (["1 0:12:1 1:30:1 1:31:1 2:5:0.25", "0 0:13:1 1:30:1 2:5:0.75"],
               ["label", "categorical", "categorical", "dense"]),
    "ratings": (["5 1:1 9:1", "3 1:1 8:1", "1 2:1 8:1"], ["label", "categorical", "categorical"]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_told_and_can_be_read(form: str, tmp_path: Path) -> None:
    lines, kinds = FORMS[form]
    found = sparse_guesses(lines)
    assert found is not None
    assert [g.field.kind for g in found if g.field is not None] == kinds
    (tmp_path / "log.svm").write_text("\n".join(lines * 20) + "\n")
    proposal = propose(tmp_path / "log.svm")
    assert proposal.schema.format == "libsvm"
    assert proposal.schema.fields == tuple(g.field for g in found)
    assert check(tmp_path / "log.svm", proposal.schema).good


def test_bags_and_thresholds() -> None:
    bag = sparse_guesses(FORMS["a bag"][0])
    assert bag is not None
    assert bag[1].field is not None
    assert bag[1].field.many
    rating = sparse_guesses(FORMS["ratings"][0])
    assert rating is not None
    assert rating[0].field is not None
    assert rating[0].field.threshold == 3
    fields = sparse_guesses(FORMS["fields"][0])
    assert fields is not None
    assert [(g.name, g.field.many) for g in fields if g.field is not None] == [
        ("label", False), ("0", False), ("1", True), ("2", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        [], ["1 a:1"], ["y,c", "1,a"], ["1 2:1", "words"], ["1 2:1 3:4:1"], ["1"],
        ["1 " + " ".join(f"{i}:0.5" for i in range(100))],
    ],
)  # fmt: skip
def test_other_lines_are_not_of_these_forms(lines: list[str]) -> None:
    assert sparse_guesses(lines) is None


def test_tokens_beside_numbers_are_a_bag_of_which_a_table_is_made(tmp_path: Path) -> None:
    lines = ["1 3:1 200:0.5", "0 7:1 200:1", "1 3:1 9:1 200:0.25"]
    (tmp_path / "log.svm").write_text("\n".join(lines * 20) + "\n")
    proposal = propose(tmp_path / "log.svm")
    assert [(f.name, f.kind, f.many) for f in proposal.schema.fields] == [
        ("label", "label", False), ("features", "categorical", True), ("200", "dense", False),
    ]  # fmt: skip
    assert proposal.notes == ()
    read = check(tmp_path / "log.svm", proposal.schema)
    assert read.good
    assert read.rows == 60


def test_numbers_alone_make_no_tables(tmp_path: Path) -> None:
    (tmp_path / "log.svm").write_text("1 1:0.5 2:3\n0 1:0.7 2:4\n" * 20)
    (tmp_path / "log.csv").write_text("y,price\n" + "".join(f"{i % 2},{i * i / 8 + 0.5}\n" for i in range(60)))
    for name in ("log.svm", "log.csv"):
        assert "no tables to train" in propose(tmp_path / name).text(), name
