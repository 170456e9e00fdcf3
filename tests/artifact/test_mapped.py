from __future__ import annotations

import faulthandler
import gc
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pocketrec.artifact.mapped import MappedFile, map_tensors
from pocketrec.artifact.write import write_tensors
from pocketrec.native.huge_pages import HUGE_PAGE_BYTES, LEAST_BYTES, state
from pocketrec.spec.errors import ArtifactCorrupt, IdError, UnknownName


def maps_of(path: Path) -> list[tuple[int, int, str]]:
    """Where this process has a file mapped: first address, address after the last, permissions."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        columns = line.split(maxsplit=5)
        if len(columns) == 6 and columns[5].removesuffix(" (deleted)") == str(path):
            first, last = (int(number, 16) for number in columns[0].split("-"))
            found.append((first, last, columns[1]))
    return found


def resident_bytes(path: Path) -> int:
    """Bytes of a mapped file that this process has touched."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return next(int(more.split()[1]) * 1024 for more in lines if more.startswith("Rss:"))
    return 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path.resolve() / "f.safetensors"
    write_tensors(
        made, {"codes": np.arange(7, dtype=np.int8), "rows": torch.arange(40.0).reshape(10, 4), "no": torch.empty(0, 3)}
    )
    return made


def test_tensors_lie_in_a_read_only_map(path: Path) -> None:
    tensors = map_tensors(path)
    ((first, last, permissions),) = maps_of(path)
    assert permissions == "r--s"
    for name, at in (("codes", 4096), ("rows", 4160)):
        assert tensors[name].data_ptr() == first + at < last
        assert tensors[name].data_ptr() % 64 == 0
        assert tensors[name].untyped_storage().nbytes() == tensors[name].nbytes
    assert torch.equal(tensors["rows"], torch.arange(40.0).reshape(10, 4))
    assert (tensors["no"].shape, tensors["no"].dtype) == ((0, 3), torch.float32)


def test_only_what_is_touched_is_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path.resolve() / "large"
    write_tensors(path, {"it": torch.zeros(16 * 2**20, dtype=torch.uint8)})
    mapped = MappedFile(path)
    tensor = mapped.tensor("it")
    assert resident_bytes(path) < 2**20
    assert int(tensor[::4096].sum()) == 0
    assert resident_bytes(path) >= tensor.nbytes


@pytest.mark.parametrize("way", ["torch", "numpy"])
def test_writing_ends_the_process_and_leaves_the_file(way: str, path: Path) -> None:
    tensor, before = map_tensors(path)["rows"], path.read_bytes()
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        if way == "torch":
            tensor.add_(1)
        else:
            tensor.numpy()[0] = 1
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    assert os.WIFSIGNALED(ended)
    assert os.WTERMSIG(ended) == signal.SIGSEGV
    assert path.read_bytes() == before


def test_a_clone_can_be_written_to(path: Path) -> None:
    copy = map_tensors(path)["rows"].clone()
    copy += 1
    assert copy[0, 0] == 1
    assert map_tensors(path)["rows"][0, 0] == 0


def test_a_tensor_keeps_its_map_and_the_last_one_lets_go(path: Path) -> None:
    mapped = MappedFile(path)
    tensor = mapped.tensor("rows")
    part = tensor[3:5]
    array = mapped.tensor("codes").numpy()
    path.unlink()
    del mapped, tensor
    gc.collect()
    assert part.tolist() == [[12, 13, 14, 15], [16, 17, 18, 19]]
    assert array.tolist() == list(range(7))
    del part
    gc.collect()
    assert len(maps_of(path)) == 1
    del array
    gc.collect()
    assert maps_of(path) == []


def test_a_map_can_be_replaced_under_its_reader(path: Path) -> None:
    tensor = map_tensors(path)["codes"]
    write_tensors(path.with_name("new"), {"codes": torch.zeros(7, dtype=torch.int8)})
    path.with_name("new").replace(path)
    assert tensor.tolist() == list(range(7))
    assert map_tensors(path)["codes"].tolist() == [0] * 7


def test_mapping_leaks_no_open_file(path: Path) -> None:
    def open_files() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = open_files()
    for _ in range(5):
        map_tensors(path)
    assert open_files() == before


def test_rows_are_copies_by_offset(path: Path) -> None:
    mapped = MappedFile(path)
    rows = mapped.rows("rows", 2, 4)
    assert rows.tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]]
    rows += 1
    assert mapped.row_bytes("rows", 2, 4) == (4160 + 32, 4160 + 64)
    assert mapped.rows("rows", 10, 10).shape == (0, 4)
    assert mapped.rows("no", 0, 0).shape == (0, 3)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 11)])
def test_rows_that_are_not_there(start: int, stop: int, path: Path) -> None:
    with pytest.raises(IdError, match=f"Rows {start} to {stop} of tensor 'rows' were asked for; it has 10"):
        MappedFile(path).rows("rows", start, stop)


def test_a_tensor_without_axes_has_no_rows(tmp_path: Path) -> None:
    write_tensors(tmp_path / "f", {"it": torch.tensor(1.0)})
    with pytest.raises(IdError):
        MappedFile(tmp_path / "f").rows("it", 0, 1)


def test_unknown_tensors(path: Path) -> None:
    with pytest.raises(UnknownName, match=r"'row'\. Did you mean 'rows'"):
        MappedFile(path).tensor("row")


def test_the_size_must_be_the_expected_one(path: Path) -> None:
    size = path.stat().st_size
    MappedFile(path, expected_bytes=size)
    with pytest.raises(ArtifactCorrupt, match=f"has {size:,} bytes, the manifest says 5"):
        MappedFile(path, expected_bytes=5)


def test_a_file_cut_short_while_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pocketrec.artifact import mapped

    def cut(*arguments: Any) -> Any:
        os.truncate(path, 4096)
        return decode(*arguments)

    decode = mapped.decode
    monkeypatch.setattr(mapped, "decode", cut)
    with pytest.raises(ArtifactCorrupt, match="cut short"):
        MappedFile(path)


def test_a_mapped_tensor_serves_like_any_other(path: Path) -> None:
    rows = map_tensors(path)["rows"]
    weight = torch.nn.Parameter(torch.ones(4))
    loss = (torch.nn.functional.embedding(torch.tensor([1, 3]), rows) @ weight).sum()
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [16.0, 18.0, 20.0, 22.0]


def test_large_copies_of_rows_lie_on_huge_pages_and_the_map_stays(tmp_path: Path) -> None:
    if state() != "on":
        pytest.skip(f"huge pages are {state()}")
    source = torch.arange(LEAST_BYTES // 4 + 16, dtype=torch.int32).reshape(-1, 16)
    write_tensors(tmp_path / "f", {"rows": source})
    mapped = MappedFile(tmp_path / "f")
    rows = mapped.rows("rows", 1, len(source))
    assert torch.equal(rows, source[1:])
    assert rows.data_ptr() % HUGE_PAGE_BYTES == 0
    assert mapped.tensor("rows").data_ptr() % HUGE_PAGE_BYTES != 0
