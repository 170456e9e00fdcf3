from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.methods.dhe import METHOD
from pocketrec.compress.parts.init import stream
from pocketrec.native import hash_features as native
from pocketrec.spec.cardinalities import CARDINALITIES
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of
from pocketrec.testing.method_contract import MethodContract

# Published cardinalities without an unknown row, as the VLDB 2024 benchmark counts them.
KAGGLE = [TableSpec(name=f"C{i}", rows=n, dim=16) for i, n in enumerate(CARDINALITIES["kaggle"])]
AVAZU_ROWS = (
    240, 7, 7, 4737, 7745, 26, 8552, 559, 36, 2686408, 6729486, 8251, 5, 4, 2626, 8, 9, 435, 4, 68, 172, 60,
)  # fmt: skip
AVAZU = [TableSpec(name=f"A{i}", rows=n, dim=16) for i, n in enumerate(AVAZU_ROWS)]


class TestDHE(MethodContract):
    method = METHOD
    variants = (
        {"hashes": 16}, {"hashes": 8, "layers": 1, "width": 4}, {"hashes": 8, "layers": 2, "features": "normal"},
    )  # fmt: skip


# The width that a bisection over all tables finds, and of how many of them a network is smaller than rows. The
# benchmark counts one bias per hidden number in the last layer, too, so that its first Avazu width is 2933.
@pytest.mark.parametrize(
    ("tables", "percent", "width", "networks"),
    [
        (KAGGLE, "50%", 3626, 4), (KAGGLE, "10%", 1372, 5), (KAGGLE, "1%", 271, 8), (KAGGLE, "0.1%", 29, 14),
        (AVAZU, "50%", 2934, 2), (AVAZU, "10%", 1224, 2), (AVAZU, "1%", 241, 2), (AVAZU, "0.1%", 15, 7),
    ],
)  # fmt: skip
def test_widths_are_those_of_the_benchmark(tables: list[TableSpec], percent: str, width: int, networks: int) -> None:
    exact, computed = size(tables, percent, "dhe").groups
    assert computed.settings["width"] == width
    assert sum(bool(t.settings["rows"]) for t in computed.tables) == networks
    assert sum(bool(t.settings["rows"]) for t in exact.tables) == len(tables) - networks


def test_a_network_has_the_numbers_that_the_paper_counts() -> None:
    (group,) = size([KAGGLE[2]], "1%", "dhe", width=29).groups
    k, h, d = 1024, 29, 16
    assert group.serve_bytes == 4 * ((k + 1) * h + 4 * h * (h + 1) + d * (h + 1) + 10 * h) + 8


def one_table(space: str = "plain", **options: object) -> Bank:
    rows = None if space == "hash63" else 3000
    table = TableSpec(name="t", rows=rows, dim=6, ids=space)  # type: ignore[arg-type]  # a name from a parameter
    return build(size([table], 8000, "dhe", **{"hashes": 32, "layers": 2, **options}), seed=0)


def test_vectors_are_those_of_a_network_written_out() -> None:
    """Against torch's own layers."""
    bank, ids = one_table(width=5), torch.arange(40)
    held = {name: tensor.clone() for name, tensor in bank.tensors().items()}
    (group,) = groups_of(bank)
    first, hidden = torch.nn.Linear(32, 5), torch.nn.Linear(5, 5)
    last, norms = torch.nn.Linear(5, 6), [torch.nn.LayerNorm(5), torch.nn.LayerNorm(5)]
    generator = torch.Generator().manual_seed(0)
    for name in ("first", "hidden1", "last", "norms"):
        group.tensor(name).data.copy_(torch.randn(group.tensor(name).shape, generator=generator))
    with torch.no_grad():
        for layer, matrix in ((first, "first"), (hidden, "hidden1"), (last, "last")):
            weights = group.tensor(matrix)[0]
            layer.weight.copy_(weights[:-1].t())
            layer.bias.copy_(weights[-1])
        for number, norm in enumerate(norms):
            norm.weight.copy_(group.tensor("norms")[0, number, 0])
            norm.bias.copy_(group.tensor("norms")[0, number, 1])
        features = native.hash_features(ids, stream(int(held["0.seed"]), 0), 32, "uniform")
        mish = torch.nn.functional.mish
        expected = last(mish(norms[1](hidden(mish(norms[0](first(features)))))))
    torch.testing.assert_close(bank(ids[:, None])[:, 0], expected)


@pytest.mark.parametrize("space", ["plain", "rank", "hash63"])
def test_an_id_that_nobody_has_seen_has_a_vector_of_its_own(space: str) -> None:
    bank = one_table(space)
    ids = torch.arange(1, 3000) if space != "hash63" else torch.arange(1, 3000) * 2**50
    with torch.no_grad():
        vectors = bank(ids[:, None])[:, 0]
    assert torch.isfinite(vectors).all()
    assert len(vectors.unique(dim=0)) == len(ids)


def test_what_was_asked_for_twice_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, seen, plain = one_table(), [], native.hash_features

    def counted(ids: torch.Tensor, *rest: object) -> torch.Tensor:
        seen.append(len(ids))
        return plain(ids, *rest)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(native, "hash_features", counted)
    bank(torch.tensor([[5], [7], [5], [5]]))
    assert seen == [2]


def test_tables_have_hashes_of_their_own() -> None:
    tables = [TableSpec(name=name, rows=3000, dim=6) for name in ("a", "b")]
    bank = build(size(tables, 16_000, "dhe", hashes=32), seed=0)
    with torch.no_grad():
        for matrix in bank.matrices():
            matrix.copy_(matrix[:1].expand_as(matrix))
        vectors = bank(torch.arange(100)[:, None].expand(100, 2))
    correlation = torch.corrcoef(vectors.flatten(1, 2).T if vectors.dim() == 3 else vectors)
    assert math.isfinite(float(correlation.sum()))
    assert not torch.isclose(vectors[:, 0], vectors[:, 1]).all(dim=1).any()


@pytest.mark.parametrize(
    ("option", "value"),
    [("hashes", 3), ("hashes", 0), ("layers", 0), ("width", 3), ("layers", 17)],
)
def test_other_shapes_are_refused(option: str, value: int) -> None:
    with pytest.raises(OptionError, match=f"{option} must"):
        METHOD(**{option: value})
