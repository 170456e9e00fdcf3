"""A recommender from its artifact: every kind of frame, serving copies, and artifacts that do not add up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
import torch

from pocketrec.artifact import Manifest, load_artifact, save_artifact
from pocketrec.pipeline import load, train
from pocketrec.pipeline.portions import SCORE_ROWS
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError, BadRow, SchemaError
from pocketrec.spec.schema import Field, Schema


@pytest.fixture
def folder(runs: Callable[..., Any], tmp_path: Path) -> Path:
    """A copy of an artifact that may be damaged."""
    return shutil.copytree(runs("min_count").out / "model", tmp_path / "model")


@pytest.fixture
def frame(logs: dict[str, Any]) -> pa.Table:
    return logs["ranks"].test_rows()


# ---------------------------------------------------------------- frames


def test_frames_of_all_kinds_score_alike(runs: Callable[..., Any], frame: pa.Table) -> None:
    served = load(runs("min_count").out)
    expected = served.predict(frame)
    assert expected.dtype == np.float32
    assert ((expected > 0) & (expected < 1)).all()
    np.testing.assert_array_equal(served.predict(frame.to_pydict()), expected)
    for module, make in (("pandas", pa.Table.to_pandas), ("polars", lambda t: __import__("polars").from_arrow(t))):
        try:
            __import__(module)
        except ImportError:
            continue
        np.testing.assert_array_equal(served.predict(make(frame)), expected)


def test_label_weight_time_and_other_columns_are_not_needed(runs: Callable[..., Any], frame: pa.Table) -> None:
    served = load(runs("min_count").out)
    inputs = frame.drop_columns(["click", "w", "hour", "user", "slot"])
    np.testing.assert_array_equal(served.predict(inputs), served.predict(frame))


def test_a_frame_of_no_rows_has_no_scores(runs: Callable[..., Any], frame: pa.Table) -> None:
    assert load(runs("min_count").out).predict(frame.slice(0, 0)).shape == (0,)


def test_long_frames_are_scored_in_portions(runs: Callable[..., Any], frame: pa.Table) -> None:
    served, copies = load(runs("robe").out), SCORE_ROWS // len(frame) + 2
    long = pa.concat_tables([frame] * copies)
    assert len(long) > SCORE_ROWS
    np.testing.assert_allclose(served.logits(long), np.tile(served.logits(frame), copies), rtol=1e-5, atol=1e-6)


def test_a_missing_column_and_a_bad_value_are_named(runs: Callable[..., Any], frame: pa.Table) -> None:
    served = load(runs("min_count").out)
    with pytest.raises(SchemaError, match="one column 'site'"):
        served.predict(frame.drop_columns(["site"]))
    values = frame.to_pydict()
    values["age"][3] = float("inf")
    with pytest.raises(BadRow, match="the frame, row 4, column age: not a finite number"):
        served.predict(values)


# ---------------------------------------------------------------- programs that torch alone runs


@pytest.mark.parametrize(
    ("method", "storage", "kind"),
    [("robe", "int8", "mixed"), ("min_count", "float32", "ranks"), ("robe", "int4", "ranks")],
)
def test_an_exported_program_scores_alike(
    method: str, storage: str, kind: str, runs: Callable[..., Any], logs: dict[str, Any], tmp_path: Path
) -> None:
    served, rows = load(runs(method, storage, kind).out), logs[kind].test_rows()
    about = served.export(tmp_path / "clicks.pt2")
    assert about["inputs"] == ["dense", "ids"]
    assert about["dense"] == list(logs[kind].schema.dense_columns)
    assert [column["id_space"] for column in about["ids"]] == list(served.model.bank.id_spaces())
    called = torch.export.load(tmp_path / "clicks.pt2").module()
    found = called(*served.inputs(rows))
    np.testing.assert_allclose(found, served.logits(rows), rtol=1e-5, atol=1e-6)


def test_an_exported_program_holds_nets_as_the_model_does(
    runs: Callable[..., Any], logs: dict[str, Any], tmp_path: Path
) -> None:
    served, rows = load(runs("robe", "int8", "mixed").out), logs["mixed"].test_rows()
    low = replace(served, model=served.model.with_nets_in(torch.bfloat16))
    low.export(tmp_path / "low.pt2")
    program = torch.export.load(tmp_path / "low.pt2")
    held = {name.rsplit("model.", 1)[-1]: t for name, t in program.state_dict.items()}
    assert all(held[name].dtype is torch.bfloat16 for name in low.model.nets())
    np.testing.assert_allclose(program.module()(*low.inputs(rows)), low.logits(rows), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("pools", "inputs"), [(("mean", "sum"), 4), (("sum", "sum"), 3)])
def test_an_exported_program_takes_bags(
    pools: tuple[str, str], inputs: int, logs: dict[str, Any], tmp_path: Path
) -> None:
    tags, shelves = (
        Field(name=n, kind="categorical", many=True, pool=p) for n, p in zip(("t", "s"), pools, strict=True)
    )  # type: ignore[arg-type]
    schema = Schema(fields=(Field(name="click", kind="label"), Field(name="site", kind="categorical"), tags, shelves))
    table = logs["ranks"].table.select(["click", "site"])
    for name, longest in (("t", 4), ("s", 2)):
        bags = ["|".join(f"{name}{(i * k) % 17}" for k in range(i % longest)) for i in range(len(table))]
        table = table.append_column(name, pa.array(bags))
    pa_csv.write_csv(table, tmp_path / "bags.csv", pa_csv.WriteOptions(quoting_style="none"))
    fitted = train(
        tmp_path / "bags.csv", schema=schema, cache=tmp_path / "cache", dim=4, model={"name": "deepfm", "top": [8]},
        train={"epochs": 1, "batch_size": 128},
    )  # fmt: skip
    served, rows = fitted.recommender, table.slice(0, 50)
    assert len(served.export(tmp_path / "clicks.pt2")["inputs"]) == inputs
    called = torch.export.load(tmp_path / "clicks.pt2").module()
    np.testing.assert_allclose(called(*served.inputs(rows)), served.logits(rows), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- artifacts


def test_tables_are_mapped_and_not_copied(runs: Callable[..., Any]) -> None:
    served = load(runs("min_count").out)
    assert served.artifact is not None
    mapped = served.artifact.tensors("tables")
    held = served.model.bank.tensors()
    assert {name: t.data_ptr() for name, t in held.items()} == {name: t.data_ptr() for name, t in mapped.items()}


def test_a_serving_copy_scores_alike_without_what_training_needs(
    runs: Callable[..., Any], frame: pa.Table, tmp_path: Path
) -> None:
    served = load(runs("narrow").out)
    copy = served.save(tmp_path / "small")
    assert set(copy.parts) == {"tables", "nets", "vocabulary"}
    assert "training_sizing" not in copy.manifest.content
    np.testing.assert_array_equal(load(tmp_path / "small").logits(frame), served.logits(frame))
    assert copy.tensor_bytes("tables") == served.sizing.serve_bytes


def test_the_vocabulary_holds_what_the_sizing_promised(runs: Callable[..., Any]) -> None:
    for method in ("full", "min_count", "hash_rows", "robe"):
        run = runs(method)
        served = load(run.out)
        assert served.artifact is not None
        assert served.artifact.tensor_bytes("vocabulary") == run.trained.result.vocabulary_bytes


def test_there_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no artifact at"):
        load(tmp_path / "nowhere")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ArtifactError, match=r"has not finished: .* Run its command again"):
        load(tmp_path)


def test_a_flipped_byte_is_found(folder: Path) -> None:
    for part in ("tables", "nets", "vocabulary"):
        (file,) = folder.glob(f"{part}-*.safetensors")
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        for verify in ("full", "lazy"):
            with pytest.raises(ArtifactCorrupt, match=part):
                load(folder, verify=verify)  # type: ignore[arg-type]
        file.write_bytes(whole)
    assert load(folder) is not None


def test_lazy_does_not_read_what_only_training_needs(folder: Path) -> None:
    (file,) = folder.glob("optimizer-*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert load(folder, verify="lazy") is not None
    with pytest.raises(ArtifactCorrupt, match="optimizer"):
        load(folder)


def damaged(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Save the artifact again with other content: every hash is right, but the parts do not fit each other."""
    artifact = load_artifact(folder)
    content = json.loads(json.dumps(artifact.manifest.content))
    parts = {part: {name: t.clone() for name, t in artifact.tensors(part).items()} for part in artifact.parts}
    change(content, parts)
    save_artifact(folder, Manifest(kind="model", content=content), parts)


CHANGES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "no sizing": lambda content, parts: content.pop("sizing"),
    "no encoder": lambda content, parts: content.pop("encoder"),
    "a model that nobody knows": lambda content, parts: content["model"].update(name="os"),
    "huge layers": lambda content, parts: content["model"].update(top=[10**9, 10**9]),
    "layers of text": lambda content, parts: content["model"].update(bottom=["8"]),
    "layers of fractions": lambda content, parts: content["model"].update(bottom=[8.0]),
    "too many cross layers": lambda content, parts: content["model"].update(name="dcn_v2", cross_layers=10**9),
    "a huge rank": lambda content, parts: content["model"].update(name="dcn_v2", cross_rank=10**6),
    "a model of other tables": lambda content, parts: content["model"].update(name="deepfm"),
    "an option that nobody knows": lambda content, parts: content["model"].update(depth=3),
    "another depth": lambda content, parts: content["model"].update(top=[8, 8]),
    "other dense numbers": lambda content, parts: content["model"].update(dense_features=2),
    "a field less": lambda content, parts: content["sizing"].update(order=["item", "site"]),
    "fields swapped": lambda content, parts: content["sizing"].update(order=["site", "item", "item"]),
    "another shape": lambda content, parts: content["sizing"]["groups"][0]["serve"][0].update(shape=[3, 8]),
    "another method": lambda content, parts: content["sizing"]["groups"][0].update(method="subprocess"),
    "a net less": lambda content, parts: parts["nets"].pop("top.0.bias"),
    "a net that would broadcast": lambda content, parts: parts["nets"].update(
        {"top.0.bias": parts["nets"]["top.0.bias"][:1].clone()}
    ),
    "a vocabulary that is not sorted": lambda content, parts: parts["vocabulary"]["0.keys"].copy_(
        parts["vocabulary"]["0.keys"].flip(0)
    ),
    "no vocabulary": lambda content, parts: parts["vocabulary"].clear(),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_parts_that_do_not_fit_each_other_are_refused(
    change: Callable[[dict[str, Any], dict[str, Any]], None], folder: Path
) -> None:
    damaged(folder, change)
    with pytest.raises(ArtifactCorrupt, match="do not fit each other"):
        load(folder)


def test_damaged_without_a_change_loads(folder: Path, frame: pa.Table, runs: Callable[..., Any]) -> None:
    damaged(folder, lambda content, parts: None)
    np.testing.assert_array_equal(load(folder).logits(frame), load(runs("min_count").out).logits(frame))


def test_a_checkpoint_is_not_a_model(runs: Callable[..., Any]) -> None:
    checkpoint = next(runs("min_count").out.glob("checkpoints/save-*"))
    with pytest.raises(ArtifactError, match="is a checkpoint, not a model"):
        load(checkpoint)
