"""A folder of built things, addressed by what they are built from.

    <cache folder>/entries/<digest of the key>/<digest of the content>.so

The name of a file is the checksum of its content, so a truncated or damaged entry is noticed and made again. Files
appear whole or not at all (written under another name, then renamed), so any number of processes may share the folder.

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
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from compiler.errors import GenesisError, GenesisWarning

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def cache_folder() -> Path:
    """The folder named by ``GENESIS_CACHE``, else ``genesis`` in the user's cache folder. It need not exist."""
    if named := os.environ.get("GENESIS_CACHE"):
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        parent = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        parent = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        parent = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return parent / "genesis"


def writable_folder() -> Path:
    """The cache folder, made if need be, or a temporary folder of this process, with a notice, where that fails."""
    return _writable(cache_folder())


def cache_limit() -> int:
    """Bytes the cache folder may hold: ``GENESIS_CACHE_LIMIT``, else 2 GiB."""
    text = os.environ.get("GENESIS_CACHE_LIMIT", "2G")
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip().upper())
    if match is None:
        raise GenesisError(
            f"GENESIS_CACHE_LIMIT={text!r} is no size; write bytes, or a number with K, M or G, as in 500M"
        )
    return int(match[1]) * UNITS[match[2]]


def cached(key_parts: Sequence[bytes | str], suffix: str, make: Callable[[Path], None]) -> Path:
    """The file made from ``key_parts``; where it is not there yet, ``make(path)`` writes it.

    What ``make`` raises goes to the caller and leaves no entry. Two processes with the same key at the same time both
    make the file, and either result serves.
    """
    key = _digest(key_parts)
    found = _find(cache_folder(), key, suffix) or _find(writable_folder(), key, suffix)
    return found or _store(writable_folder(), key, suffix, make)


def cached_bytes(key_parts: Sequence[bytes | str], make: Callable[[], bytes]) -> bytes:
    """The bytes made from ``key_parts``; ``make()`` makes them where they are not there yet."""

    def write(path: Path) -> None:
        path.write_bytes(make())

    return cached(key_parts, ".bin", write).read_bytes()


def _digest(parts: Sequence[bytes | str]) -> str:
    """A digest that tells ``("ab", "c")`` from ``("a", "bc")``."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()[:32]


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def _find(folder: Path, key: str, suffix: str) -> Path | None:
    """The whole and undamaged entry of ``key``, now marked as used; damaged ones are removed."""
    with contextlib.suppress(OSError):  # not there, or not for us to read: a miss
        for path in (folder / "entries" / key).iterdir():
            if path.suffix != suffix:
                continue
            if _checksum(path) == path.stem:
                with contextlib.suppress(OSError):  # a cache that is only readable still serves
                    os.utime(path)
                return path
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def _store(folder: Path, key: str, suffix: str, make: Callable[[Path], None]) -> Path:
    entries = folder / "entries"
    entries.mkdir(parents=True, exist_ok=True)
    unfinished = entries / f"{uuid.uuid4().hex}{suffix}"
    try:
        make(unfinished)
        path = entries / key / f"{_checksum(unfinished)}{suffix}"
        path.parent.mkdir(exist_ok=True)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    _trim(folder, keep=path)
    return path


def _trim(folder: Path, keep: Path) -> None:
    """Remove the entries used longest ago until the rest fits the limit."""
    limit, total, files = cache_limit(), 0, []
    for parent, _, names in os.walk(folder / "entries"):
        for name in names:
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):  # another process was here first
                files.append((path.stat(), path))
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns, reverse=True):
        total += stat.st_size
        if total > limit and path != keep:
            with contextlib.suppress(OSError):
                path.unlink()
                path.parent.rmdir()


@functools.cache
def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        warnings.warn(
            f"cannot write the cache folder {folder} ({error.strerror}): compiled programs are kept only until this "
            "process ends. Set GENESIS_CACHE to a folder that can be written.",
            GenesisWarning,
            stacklevel=4,
        )
        temporary = tempfile.mkdtemp(prefix="genesis-")
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        return Path(temporary)
