from __future__ import annotations

import ast
import errno
import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

import pocketrec.artifact
from pocketrec.artifact import files
from pocketrec.spec.errors import ArtifactCorrupt

PACKAGE = Path(pocketrec.artifact.__file__).parent

# Everything by which Python changes a file system or opens a file; looking (exists, is_dir) is left out.
REACHING = {
    "open", "fdopen", "memmap", "pread", "read_bytes", "read_text", "listdir", "scandir", "iterdir", "statvfs",
    "write_bytes", "write_text", "pwrite", "tofile", "save", "fsync", "fdatasync", "truncate", "ftruncate",
    "mkdir", "makedirs", "unlink", "remove", "rmdir", "removedirs", "rmtree", "rename", "renames", "replace",
    "touch", "symlink", "symlink_to", "link", "hardlink_to", "copy", "copyfile", "copytree", "move", "chmod",
}  # fmt: skip


def test_nothing_else_in_the_package_touches_files() -> None:
    found = []
    for path in sorted(PACKAGE.glob("*.py")):
        tree = ast.parse(path.read_text())
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        if path.name != "files.py":
            assert not imported & {"os", "shutil", "tempfile", "io"}, path.name
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            ours = isinstance(called, ast.Attribute) and getattr(called.value, "id", "") == "files"
            # dataclasses.replace is a bare name, str.replace does not occur
            if name in REACHING and not ours and not (name == "replace" and isinstance(called, ast.Name)):
                found.append(f"{path.name}:{node.lineno} {name}")
    assert found
    assert {place.split(":")[0] for place in found} == {"files.py"}, found


def test_all_names_every_function() -> None:
    tree = ast.parse((PACKAGE / "files.py").read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert functions == set(files.__all__)


def test_a_file_is_made_written_synced_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")))  # noqa: PTH115
    file = files.create(tmp_path / "a")
    files.write(file, b"one ")
    files.write(file, memoryview(b"two"))
    files.sync_file(file)
    files.close(file)
    (tmp_path / "b").write_text("old")
    files.rename(tmp_path / "a", tmp_path / "b")
    files.sync_folder(tmp_path)
    assert (tmp_path / "b").read_text() == "one two"
    assert files.list_names(tmp_path) == ["b"]
    assert synced == [str(tmp_path / "a"), str(tmp_path)]


def test_a_write_that_the_kernel_takes_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:3]))
    file = files.create(tmp_path / "a")
    files.write(file, b"0123456789")
    files.close(file)
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_create_takes_no_name_that_is_taken_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "there").touch()
    for name in ("link", "there"):
        with pytest.raises(FileExistsError):
            files.create(tmp_path / name)
    assert not (tmp_path / "elsewhere").exists()


def test_folders_are_made_once_and_removed(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a")
    files.make_folder(tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        files.make_folder(tmp_path / "file")
    files.remove_folder(tmp_path / "a")
    files.remove(tmp_path / "file")
    files.remove(tmp_path / "file")
    assert files.list_names(tmp_path) == []


def test_free_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = files.free_bytes(tmp_path)
    assert free is not None
    assert free > 0
    told = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*told[:2], 0, *told[3:])))
    assert files.free_bytes(tmp_path) is None


def test_read_gives_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    file, file_bytes = files.open_regular(tmp_path / "a")
    assert file_bytes == 10
    assert files.read(file, 4, 3) == b"3456"
    assert files.read(file, 40, 8) == b"89"
    files.close(file)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "device"])
def test_only_plain_files_are_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    if kind == "link":
        (tmp_path / "target").touch()
        path.symlink_to(tmp_path / "target")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)  # nobody writes to it: opening it without care would wait for ever
    else:
        path = Path("/dev/zero")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(ArtifactCorrupt, match="plain file"):
        files.open_regular(path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_real_path_follows_links_and_survives_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    assert files.real_path(tmp_path / "link" / "x") == (tmp_path / "there" / "x").resolve()
    files.real_path(tmp_path / "a")


def test_a_second_saver_waits_and_then_comes_in(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with files.locked(tmp_path):
            order.append("second")

    thread = threading.Thread(target=second)
    with files.locked(tmp_path):
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join(timeout=10)
    assert order == ["first", "second"]
    assert files.list_names(tmp_path) == []


def test_a_child_forked_under_the_lock_does_not_hold_it_on(tmp_path: Path) -> None:
    with files.locked(tmp_path):
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
    try:
        mine = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(mine)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(RuntimeWarning, match="no locks"), files.locked(tmp_path):
        pass


def test_a_lock_that_fails_otherwise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="Input/output"), files.locked(tmp_path):
        pass


def test_what_another_writes_stands_whole_under_its_name_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    path.write_text("before")

    def stops(part: Path) -> None:
        part.write_text("half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        files.write_by(path, stops)
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt2"]
    assert path.read_text() == "before"
    files.write_by(path, lambda part: part.write_text(f"{part.name}, whole"))
    assert path.read_text() == "model.pt2, whole"
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt2"]
