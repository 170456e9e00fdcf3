"""Every call by which this package reaches the file system, one function each.

Nothing else in ``artifact`` touches files (a test reads the sources and says so). So the tests can put a full disk, a
kill or a power cut at the n-th call, for every n, and look at what is left.

Data is written unbuffered: what :func:`write` returned from is in the kernel, and a process that dies keeps nothing
back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pocketrec.spec.errors import ArtifactCorrupt

__all__ = [
    "close",
    "create",
    "free_bytes",
    "list_names",
    "locked",
    "make_folder",
    "open_regular",
    "read",
    "real_path",
    "remove",
    "remove_folder",
    "rename",
    "sync_file",
    "sync_folder",
    "write",
    "write_by",
]

# What file systems without whole-file locks answer (NFS says EBADF for a folder).
_NO_LOCKS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}


def create(path: Path) -> int:
    """A new, empty file, open for writing. FileExistsError if the name is taken; links are not followed."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def write(file: int, data: memoryview | bytes) -> None:
    """Append all of `data`; the kernel may take it in several pieces."""
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def sync_file(file: int) -> None:
    """Return when the bytes of an open file are on the disk."""
    os.fsync(file)


def close(file: int) -> None:
    """Close an open file."""
    os.close(file)


def rename(old: Path, new: Path) -> None:
    """Give a file its name in one step; a file that had the name is gone in the same step."""
    old.replace(new)


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def write_by(path: Path, writer: Callable[[Path], object]) -> None:
    """A whole file by a writer that wants a path, such as torch's: on the disk under its name, or not at all.

    It is written in a folder beside, under its own last name, by which archives call the folder within them.
    """
    with tempfile.TemporaryDirectory(prefix=".pocketrec-", dir=path.parent) as beside:
        part = Path(beside) / path.name
        writer(part)
        file = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        part.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make one folder; nothing happens if it is there. Its parent must be there."""
    try:
        os.mkdir(folder)  # noqa: PTH102 - one system call, no more
    except FileExistsError:
        if not folder.is_dir():
            raise


def remove(path: Path) -> None:
    """Take a file's name away; memory maps of it stay good. Nothing happens if it is gone already."""
    path.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Remove an empty folder."""
    folder.rmdir()


def real_path(path: Path) -> Path:
    """The path without links, as far as it is there."""
    return Path(os.path.realpath(path))


def list_names(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths


def free_bytes(folder: Path) -> int | None:
    """Bytes that an ordinary user may still write to the disk of this folder; None where the disk does not tell."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None


def open_regular(path: Path) -> tuple[int, int]:
    """Open a file of an artifact for reading: the open file and its bytes.

    Raises:
        ArtifactCorrupt: it is a link, a folder, a device or a pipe. An artifact holds plain files only; a link could
            lead anywhere, a pipe could wait for ever.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as wrong:
        if wrong.errno == errno.ENXIO or path.is_symlink():
            raise ArtifactCorrupt(f"{path} is a link or a socket; an artifact holds plain files only.") from wrong
        raise
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode):
        os.close(file)
        raise ArtifactCorrupt(f"{path} is not a plain file.")
    return file, about.st_size


def read(file: int, count: int, offset: int) -> bytes:
    """`count` bytes from `offset` of an open file; fewer only at its end."""
    parts: list[bytes] = []
    while count > 0 and (part := os.pread(file, count, offset)):
        parts.append(part)
        count -= len(part)
        offset += len(part)
    return b"".join(parts)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for one saver; a second one waits. A process that dies lets go.

    The lock lies on the folder itself, so it leaves no file behind. Readers need none.
    """
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as wrong:
            if wrong.errno not in _NO_LOCKS:
                raise
            warnings.warn(
                f"The file system of {folder} has no locks ({wrong.strerror}): only one process may save there "
                "at a time.",
                RuntimeWarning,
                stacklevel=3,
            )
        yield
    finally:
        with suppress(OSError):
            # Closing is not enough: a process forked meanwhile has the same open folder, and would hold the lock on.
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)
