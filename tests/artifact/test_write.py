from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from pocketrec.artifact import files
from pocketrec.artifact.mapped import map_tensors
from pocketrec.artifact.write import plan_files, write_plan, write_tensors
from pocketrec.spec.errors import ArtifactError


def test_the_official_reader_opens_our_files(tmp_path: Path, make_parts: Any) -> None:
    for part, tensors in make_parts(3).items():
        path = tmp_path / f"{part}.safetensors"
        entries = write_tensors(path, tensors)
        read = safetensors.torch.load_file(path)
        assert {name for name in read if not name.startswith("__pad_")} == set(tensors)
        for name, tensor in tensors.items():
            expected = torch.as_tensor(tensor)
            assert read[name].dtype == expected.dtype
            assert torch.equal(read[name], expected)
        with safetensors.safe_open(path, "pt") as opened:
            assert opened.metadata() == {"format": "pt"}
        assert [entry.name for entry in entries] == list(tensors)


def test_bytes_lie_where_the_entries_say(tmp_path: Path) -> None:
    rows, codes = torch.arange(12, dtype=torch.int32).reshape(3, 4), np.arange(5, dtype=np.uint8)
    entries = write_tensors(tmp_path / "f", {"codes": codes, "rows": rows})
    raw = (tmp_path / "f").read_bytes()
    assert [entry.offset for entry in entries] == [4096, 4160]
    assert raw[4096:4101] == codes.tobytes()
    assert raw[4101:4160] == bytes(59)
    assert raw[4160:] == rows.numpy().tobytes()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(60.0).reshape(5, 12).t(),
        torch.arange(60.0).reshape(5, 12)[:, ::3],
        torch.arange(60.0)[::7],
        torch.ones(1, 4).expand(9, 4),
        torch.nn.Parameter(torch.arange(6.0)),
        torch.tensor(2.5),
        np.arange(60.0, dtype=np.float32).reshape(5, 12).T,
        np.arange(60, dtype=np.int64)[::-2],
        np.float64(2).reshape(()),
    ],
    ids=lambda tensor: f"{type(tensor).__name__}{tuple(tensor.shape)}",
)
def test_whatever_way_a_tensor_lies(tensor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketrec.artifact.write._BLOCK_BYTES", 40)  # so that small tensors go in several blocks
    write_tensors(tmp_path / "f", {"it": tensor})
    expected = torch.as_tensor(
        np.ascontiguousarray(tensor).reshape(tensor.shape) if isinstance(tensor, np.ndarray) else tensor
    )
    assert torch.equal(map_tensors(tmp_path / "f")["it"], expected.detach())


def test_an_array_that_must_not_be_written_to_is_written_out(tmp_path: Path) -> None:
    frozen = np.arange(7, dtype=np.int64)
    frozen.flags.writeable = False
    write_tensors(tmp_path / "f", {"it": frozen})
    assert map_tensors(tmp_path / "f")["it"].tolist() == list(range(7))


def test_no_second_copy_is_made(tmp_path: Path) -> None:
    array = np.zeros((4 * 2**20,), dtype=np.float32)  # NumPy tells tracemalloc, torch does not
    tracemalloc.start()
    write_tensors(tmp_path / "f", {"it": array})
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2**20
    turned = array.reshape(64, -1).T  # must be copied, in blocks of 16 MiB or less
    tracemalloc.start()
    write_tensors(tmp_path / "g", {"it": turned})
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 18 * 2**20


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"a": torch.ones(2, dtype=torch.bool)}, "Tensor 'a' holds torch.bool"),
        ({"a": torch.ones(2, device="meta")}, "Tensor 'a' is torch.strided on meta"),
        ({"a": torch.eye(3).to_sparse()}, "Tensor 'a' is torch.sparse_coo"),
        ({"__pad_0": torch.ones(2)}, "cannot be called '__pad_0'"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_the_file_is_made(tensors: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=why):
        write_tensors(tmp_path / "f", tensors)
    assert files.list_names(tmp_path) == []


def test_a_big_endian_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.byteorder", "big")
    with pytest.raises(ArtifactError, match="little endian"):
        plan_files({})


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    with pytest.raises(FileExistsError):
        write_tensors(tmp_path / "f", {})
    assert (tmp_path / "f").read_text() == "mine"


def test_a_file_that_fails_is_removed(tmp_path: Path, disk: Any) -> None:
    disk.arm(3, "once")
    with pytest.raises(OSError, match="injected"):
        write_tensors(tmp_path / "f", {"a": torch.ones(3)})
    assert files.list_names(tmp_path) == []


def test_hashes_are_of_the_bytes_on_disk(tmp_path: Path) -> None:
    (plan,) = plan_files({"a": torch.arange(3000.0), "b": torch.ones(7)})
    hashes = write_plan(tmp_path / "f", plan, chunk_bytes=4096)
    raw = (tmp_path / "f").read_bytes()
    assert len(raw) == plan.file_bytes
    assert hashes == tuple(hashlib.sha256(raw[k : k + 4096]).hexdigest() for k in range(0, len(raw), 4096))


@pytest.mark.parametrize("limit_bytes", [1, 6000, 8192, 12_000, 20_000, 2**32])
def test_no_file_is_above_the_limit_unless_one_tensor_is(limit_bytes: int) -> None:
    tensors = {f"t{k}": torch.zeros(size, 3) for k, size in enumerate((10, 200, 0, 30, 1000, 1, 1, 1))}
    plans = plan_files(tensors, limit_bytes=limit_bytes)
    assert [entry.name for plan in plans for entry in plan.entries] == list(tensors)
    for plan in plans:
        assert plan.file_bytes <= limit_bytes or len(plan.entries) == 1
    assert len(plans) == {1: 8, 2**32: 1}.get(limit_bytes, len(plans))
    assert len(plans) > 1 or limit_bytes > 20_000


def test_many_small_tensors_respect_the_limit_with_their_header() -> None:
    tensors = {f"name-{k}-" + "x" * 90: torch.zeros(1) for k in range(300)}
    plans = plan_files(tensors, limit_bytes=16_384)
    assert len(plans) > 3
    assert all(plan.file_bytes <= 16_384 for plan in plans)


def test_no_tensors_make_one_empty_file(tmp_path: Path) -> None:
    (plan,) = plan_files({})
    assert plan.file_bytes == 4096
    write_plan(tmp_path / "f", plan)
    assert map_tensors(tmp_path / "f") == {}
    assert safetensors.torch.load_file(tmp_path / "f") == {}


def test_more_files_than_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketrec.artifact.write.FILE_COUNT_LIMIT", 2)
    with pytest.raises(ArtifactError, match="would take 3 files of at most 1 bytes"):
        plan_files({name: torch.zeros(1) for name in "abc"}, limit_bytes=1)
