"""Files that are replaced as a whole: a reader, or a crash, finds the old one or the new one, never a part."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

UNFINISHED = re.compile(r"\.checkpoint-[0-9a-f]{16}")

_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
_KINDS |= {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def special(path: str | os.PathLike[str]) -> str | None:
    """The kind of thing at ``path`` that is no file, in words; None for a file, and where there is nothing."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no file")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place and the mode of the one at ``path`` when the block ends without an error.

    A symbolic link stays, and what it points to is replaced. The contents are on the disk before the name is. Files
    that processes which died left half written in the same folder are removed.

    Raises:
        OSError: the file cannot be written; what was there before is untouched.
    """
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    _remove_unfinished(place.parent)
    file, unfinished = _create(place.parent, place.stat().st_mode if place.exists() else None)
    with file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(unfinished, place)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    if os.name == "posix":
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _create(folder: Path, mode: int | None) -> tuple[IO[bytes], Path]:
    """A new file, locked while this process lives; of the given mode, or what the umask leaves."""
    while True:
        path = folder / f".checkpoint-{secrets.token_hex(8)}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600)
        file = os.fdopen(descriptor, "r+b")
        _lock(descriptor)
        with suppress(FileNotFoundError):
            if mode is not None:
                os.chmod(path, stat.S_IMODE(mode))
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return file, path
        file.close()  # another process took it for a dead one's before it was locked


def _remove_unfinished(folder: Path) -> None:
    """Remove the unfinished files that no living process has locked."""
    if fcntl is None:
        return
    for path in folder.iterdir():
        if UNFINISHED.fullmatch(path.name):
            with suppress(OSError):  # gone already, no file, or not ours to remove
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    if stat.S_ISREG(os.fstat(descriptor).st_mode) and _lock(descriptor):
                        path.unlink()
                finally:
                    os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file until it is closed; False where another process has it locked, or the file system has no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
