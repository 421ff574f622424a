"""A folder of built things, addressed by what they are built from.

    <cache folder>/entries/<digest of the key>/<digest of the content>.so

The name of a file is the checksum of its content, so a truncated or damaged entry is noticed and made again. Files
appear whole or not at all (written under another name, then renamed), so any number of processes may share the folder.

Whoever can write a library into the folder can run code as its user. A folder or a file that another user (other than
root) owns, or may write to, is therefore not used. Folders are made with mode 0700, files with mode 0600.

The time of the file ``trimmed`` beside the entries says when files were last removed to keep the size limit.

Environment: ``GENESIS_CACHE`` names another folder, ``GENESIS_CACHE_LIMIT`` its size limit in bytes (``500M``, ``2G``).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from compiler.errors import GenesisError, GenesisWarning

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

IN_USE = 3600
"""Seconds after its last use in which a file is not removed: a process may be writing it, or about to load it.

So there is little to be found by looking for files to remove more often than that.
"""


class CacheError(GenesisError, OSError):
    """A built file cannot be kept in the cache folder, or not be loaded from it."""


def cache_folder() -> Path | None:
    """The folder named by ``GENESIS_CACHE``, else ``genesis`` in the user's cache folder. It need not exist.

    None where the user has no home folder: no ``HOME``, and no entry in the list of users.
    """
    try:
        if named := os.environ.get("GENESIS_CACHE"):
            return Path(named).expanduser().absolute()
        if sys.platform == "darwin":
            parent = Path.home() / "Library" / "Caches"
        elif sys.platform == "win32":
            parent = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        else:
            parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return (parent / "genesis").absolute()


def writable_folder() -> Path:
    """The cache folder, made if need be; a temporary folder of this process, with a notice, where that cannot serve."""
    folder = cache_folder()
    if folder is None:
        return _temporary("there is no home folder to keep compiled programs in")
    trouble = _distrusted(folder) or _unwritable(folder)
    return _temporary(trouble) if trouble else folder


def cache_limit() -> int:
    """Bytes the cache folder may hold: ``GENESIS_CACHE_LIMIT``, else 2 GiB."""
    text = os.environ.get("GENESIS_CACHE_LIMIT", "2G")
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip().upper())
    if match is None:
        raise GenesisError(
            f"GENESIS_CACHE_LIMIT={text!r} is no size; write bytes, or a number with K, M or G, as in 500M"
        )
    return int(match[1]) * UNITS[match[2]]


def cached(key_parts: Sequence[bytes | str], suffix: str, make: Callable[[Path], None], again: bool = False) -> Path:
    """The file made from ``key_parts``; where it is not there yet, ``make(path)`` writes it.

    With ``again``, a file that is there is replaced: it turned out to be of no use. Errors of ``make`` go to the caller
    and leave no entry. Two processes with the same key at the same time both make the file, and either result serves.

    Raises:
        CacheError: the file cannot be kept.
    """
    return _entry(key_parts, suffix, make, again)[0]


def cached_bytes(key_parts: Sequence[bytes | str], make: Callable[[], bytes]) -> bytes:
    """The bytes made from ``key_parts``; ``make()`` makes them where they are not there yet. Raises as ``cached``."""

    def write(path: Path) -> None:
        path.write_bytes(make())

    return _entry(key_parts, ".bin", write)[1]


def _entry(
    key_parts: Sequence[bytes | str], suffix: str, make: Callable[[Path], None], again: bool = False
) -> tuple[Path, bytes]:
    """The file of :func:`cached`, and its contents."""
    key = _digest(key_parts)
    folder = cache_folder()
    if again:
        for path in (writable_folder() / "entries" / key).glob(f"*{suffix}"):
            _remove(path)
    else:
        found = folder and _find(folder, key, suffix)  # a cache that is only readable serves too
        if found := found or _find(writable_folder(), key, suffix):
            return found
    return _store(writable_folder(), key, suffix, make)


def _digest(parts: Sequence[bytes | str]) -> str:
    """A digest that tells ``("ab", "c")`` from ``("a", "bc")``."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()[:32]


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _find(folder: Path, key: str, suffix: str) -> tuple[Path, bytes] | None:
    """The whole and undamaged entry of ``key``, now marked as used; anything else under its name is removed."""
    entry = folder / "entries" / key
    if _distrusted(folder) or not entry.is_dir():
        return None
    with contextlib.suppress(OSError):  # removed by another process, or not for us to read: a miss
        for path in entry.iterdir():
            if path.suffix != suffix:
                continue
            with contextlib.suppress(OSError):
                content = path.read_bytes()
                if _checksum(content) == path.stem and not _foreign(path.lstat()):
                    with contextlib.suppress(OSError):
                        os.utime(path)
                    return path, content
            _remove(path)
    return None


def _store(folder: Path, key: str, suffix: str, make: Callable[[Path], None]) -> tuple[Path, bytes]:
    """Make the file beside its place, then rename it; what stood in its place, of whatever kind, goes."""
    entries = folder / "entries"
    unfinished = entries / f"{uuid.uuid4().hex}{suffix}"
    try:
        entries.mkdir(mode=0o700, parents=True, exist_ok=True)
        make(unfinished)
        unfinished.chmod(0o600)
        content = unfinished.read_bytes()
        path = entries / key / f"{_checksum(content)}{suffix}"
        _place(unfinished, path)
    except OSError as error:
        if isinstance(error, GenesisError):
            raise
        raise CacheError(
            f"cannot keep a built file in {folder} ({error.strerror or error}). Free some space there, or set "
            "GENESIS_CACHE to another folder."
        ) from error
    finally:
        _remove(unfinished)
    if _is_trimming_due(folder):
        _trim(folder)
    return path, content


def _place(unfinished: Path, path: Path) -> None:
    """Rename ``unfinished`` to ``path``, once more where something stood in the way or another process tidied up."""
    for attempt in (1, 2):
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(unfinished, path)
            return
        except OSError:
            if attempt == 2 or not unfinished.exists():
                raise
            _remove(path)
            if not path.parent.is_dir():
                _remove(path.parent)


def _remove(path: Path) -> None:
    """Remove a file or a folder, if we may."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def entries(folder: Path) -> list[Path]:
    """The files that the cache in ``folder`` keeps."""
    return [Path(parent, name) for parent, _, names in os.walk(folder / "entries") for name in names]


def _is_trimming_due(folder: Path) -> bool:
    """Whether ``folder`` was not trimmed within the time ``IN_USE``, by any process; it counts as trimmed from now on.

    No store but one in an hour waits until all files are looked at, which takes seconds where there are thousands.
    """
    stamp = folder / "trimmed"
    with contextlib.suppress(OSError):
        if 0 <= time.time() - stamp.stat().st_mtime < IN_USE:
            return False
    with contextlib.suppress(OSError):
        stamp.touch(mode=0o600)
    return True


def _trim(folder: Path) -> None:
    """Remove the files used longest ago until the rest fits the limit; those in use stay."""
    limit, total, files = cache_limit(), 0, []
    for path in entries(folder):
        with contextlib.suppress(FileNotFoundError):  # another process was here first
            files.append((path.lstat(), path))
    in_use = time.time() - IN_USE
    for status, path in sorted(files, key=lambda file: file[0].st_mtime_ns, reverse=True):
        total += status.st_size
        if total > limit and status.st_mtime < in_use:
            with contextlib.suppress(OSError):
                path.unlink()
                path.parent.rmdir()


def _foreign(status: os.stat_result) -> str | None:
    """Who else may change a file or folder, in words; None where only its user and root may."""
    if os.name != "posix":
        return None
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to user number {status.st_uid}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "may be written by other users"
    return None


def _distrusted(folder: Path) -> str | None:
    """Why files in ``folder`` and ``folder/entries`` are not to be trusted; None where they are, or not there yet."""
    for place in (folder, folder / "entries"):
        with contextlib.suppress(OSError):
            if found := _foreign(place.stat()):
                return (
                    f"the cache folder {place} {found}, and a library planted there would run: it is not used. Remove "
                    "it, or run chmod go-w on it, or use another"
                )
    return None


def _unwritable(folder: Path) -> str | None:
    """Why ``folder`` cannot be written; None where it can. Makes it if need be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "entries").mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder / "entries"):
            return None
    except OSError as error:
        return f"cannot write the cache folder {folder} ({error.strerror})"


@functools.cache
def _temporary(trouble: str) -> Path:
    """A folder that goes with this process; says once for each trouble why it is needed."""
    warnings.warn(
        f"{trouble}. Compiled programs are kept only until this process ends. Set GENESIS_CACHE to a folder of yours "
        "that can be written.",
        GenesisWarning,
        stacklevel=5,
    )
    temporary, owner = tempfile.mkdtemp(prefix="genesis-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not a child of a fork
            shutil.rmtree(temporary, ignore_errors=True)

    atexit.register(remove)
    return Path(temporary)
