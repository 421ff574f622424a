"""The cache folder: made once, whole or not at all, and mended when damaged."""

import errno
import os
import re
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.errors import GenesisError, GenesisWarning
from runtime.cache import IN_USE, CacheError, cache_folder, cache_limit, cached, cached_bytes

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GENESIS_CACHE_LIMIT", raising=False)
    return tmp_path / "cache"


class Maker:
    """Writes ``content`` and counts how often it was asked to."""

    def __init__(self, content: bytes = b"content") -> None:
        self.content, self.calls = content, 0

    def __call__(self, path: Path) -> None:
        self.calls += 1
        path.write_bytes(self.content)


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "entries").rglob("*") if path.is_file()]


def let_it_trim(folder: Path) -> None:
    """Make the last trimming so long ago that the next store trims again."""
    age(folder / "trimmed", IN_USE)


def test_makes_once_and_returns_the_same_file(folder: Path) -> None:
    make = Maker()
    first = cached(("key", b"\x00"), ".so", make)
    assert cached((b"key", "\x00"), ".so", make) == first
    assert make.calls == 1
    assert first.read_bytes() == b"content" and first.suffix == ".so"
    assert files(folder) == [first]


def test_keys_do_not_run_together() -> None:
    assert cached(("ab", "c"), ".so", Maker(b"1")).read_bytes() == b"1"
    assert cached(("a", "bc"), ".so", Maker(b"2")).read_bytes() == b"2"
    assert cached(("ab", "c"), ".txt", Maker(b"3")).read_bytes() == b"3"


def test_bytes() -> None:
    def fail() -> bytes:
        raise AssertionError("made twice")

    assert cached_bytes(("plan",), lambda: b"\x01\x02") == b"\x01\x02"
    assert cached_bytes(("plan",), fail) == b"\x01\x02"


def test_a_failed_make_leaves_nothing(folder: Path) -> None:
    def half(path: Path) -> None:
        path.write_bytes(b"half")
        raise ValueError("the compiler died")

    with pytest.raises(ValueError, match="the compiler died"):
        cached(("key",), ".so", half)
    assert files(folder) == []
    assert cached(("key",), ".so", Maker(b"whole")).read_bytes() == b"whole"


@pytest.mark.parametrize("damage", [b"", b"cont", b"c0ntent", b"content and more"])
def test_a_damaged_entry_is_made_again(folder: Path, damage: bytes) -> None:
    make = Maker()
    cached(("key",), ".so", make).write_bytes(damage)
    assert cached(("key",), ".so", make).read_bytes() == b"content"
    assert make.calls == 2
    assert len(files(folder)) == 1


def test_an_unwritable_folder_gives_one_notice_and_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder can be made below a file")
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path / "file" / "cache"))
    make = Maker()
    with pytest.warns(GenesisWarning, match=r"cannot write the cache folder .*Set GENESIS_CACHE"):
        first = cached(("key",), ".so", make)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cached(("key",), ".so", make) == first
        cached(("another",), ".so", make)
    assert make.calls == 2
    assert tmp_path not in first.parents


PROCESS = """
import sys, time
from pathlib import Path
from runtime.cache import cached

ready, me = (Path(name) for name in sys.argv[1:])

def make(path):
    me.touch()
    while len(list(ready.iterdir())) < 2:  # both are making before either is done
        time.sleep(0.001)
    path.write_bytes(b"x" * 100_000)

print(cached(("shared key",), ".so", make))
"""


def test_two_processes_make_the_same_key_at_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ready").mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, tmp_path / "ready", tmp_path / "ready" / str(number)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    printed = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert printed == {str(path) for path in files(folder)}
    assert cached(("shared key",), ".so", Maker(b"not asked for")).read_bytes() == b"x" * 100_000


def age(path: Path, seconds: float) -> None:
    """Make the last use of a file that much longer ago."""
    status = path.stat()
    os.utime(path, (status.st_atime, status.st_mtime - seconds))


def test_the_entries_used_longest_ago_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE_LIMIT", "2500")
    kilobyte = Maker(b"x" * 1000)
    old, older = cached(("a",), ".so", kilobyte), cached(("b",), ".so", kilobyte)
    age(old, 2 * IN_USE)
    age(older, 3 * IN_USE)
    let_it_trim(folder)
    new = cached(("c",), ".so", kilobyte)
    assert sorted(files(folder)) == sorted([old, new])
    assert not older.parent.exists()
    cached(("a",), ".so", kilobyte)  # used again, and so not removed
    let_it_trim(folder)
    newest = cached(("d",), ".so", kilobyte)
    assert sorted(files(folder)) == sorted([old, new, newest])


def test_what_another_process_writes_or_is_about_to_load_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE_LIMIT", "10")
    found = cached(("just found by another process",), ".so", Maker(b"x" * 1000))
    written = folder / "entries" / f"{'0' * 32}.so"
    written.write_bytes(b"half of a libra")
    let_it_trim(folder)
    cached(("key",), ".so", Maker())
    assert found.exists() and written.exists()
    age(found, 2 * IN_USE)
    age(written, 2 * IN_USE)  # its process is gone
    let_it_trim(folder)
    cached(("another key",), ".so", Maker())
    assert not found.exists() and not written.exists()


def test_stores_trim_once_in_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE_LIMIT", "10")
    walked: list[object] = []
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda top: (walked.append(top), walk(top))[1])
    old = cached(("a",), ".so", Maker(b"x" * 1000))
    age(old, 2 * IN_USE)
    for key in "bcd":
        cached((key,), ".so", Maker())
    assert len(walked) == 1 and old.exists()
    let_it_trim(folder)
    cached(("e",), ".so", Maker())
    assert len(walked) == 2 and not old.exists()
    age(folder / "trimmed", -2 * IN_USE)  # by a clock that was wrong
    cached(("f",), ".so", Maker())
    assert len(walked) == 3


def foreign_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give ``folder`` to another user; without the right to, become another user in Genesis's eyes."""
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX owners and modes")


@POSIX
@pytest.mark.parametrize("place", ["", "entries"])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder, _: folder.chmod(0o777), "may be written by other users"),
        (lambda folder, _: folder.chmod(0o720), "may be written by other users"),
        (foreign_folder, "belongs to user number"),
    ],
    ids=["all", "group", "owner"],
)
def test_a_folder_that_others_may_write_to_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[..., None], said: str, place: str
) -> None:
    planted = cached(("key",), ".so", Maker(b"planted"))
    before = files(folder)
    harm(folder / place, monkeypatch)
    make = Maker()
    with pytest.warns(
        GenesisWarning, match=f"{re.escape(str(folder / place))} {said}.*not used.*chmod go-w"
    ) as said_once:
        found = cached(("key",), ".so", make)
        assert cached(("key",), ".so", make) == found
        cached(("another",), ".so", make)
    assert len(said_once) == 1
    assert found.read_bytes() == b"content" and folder not in found.parents
    assert files(folder) == before and planted.exists()


@POSIX
def test_a_file_that_others_may_write_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    first = cached(("key",), ".so", make)
    first.chmod(0o666)
    assert cached(("key",), ".so", make) == first
    assert make.calls == 2
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


@POSIX
def test_modes_do_not_depend_on_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        found = cached(("key",), ".so", Maker())
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "entries", found.parent)}
    assert modes == {0o700}
    assert stat.S_IMODE(found.stat().st_mode) == 0o600


NO_HOME = """
import os, tempfile, warnings
from pathlib import Path
from runtime.cache import cached_bytes
tempfile.tempdir = "/tmp"
os.environ.pop("HOME", None)
os.environ.pop("XDG_CACHE_HOME", None)
if os.geteuid() == 0:
    os.setuid(54321)  # as `docker run -u 54321`: no entry in the list of users
else:
    def home():
        raise RuntimeError("Could not determine home directory.")
    Path.home = home
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    assert cached_bytes(("key",), lambda: b"made") == b"made"
    assert cached_bytes(("key",), None) == b"made"
(warning,) = caught
print(warning.message)
"""


@POSIX
def test_a_user_without_home_gets_a_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENESIS_CACHE")
    done = subprocess.run([sys.executable, "-c", NO_HOME], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert "there is no home folder to keep compiled programs in" in done.stdout


@pytest.mark.parametrize("name", ["entry", "file"])
def test_a_folder_or_a_file_in_the_place_of_an_entry_is_replaced(folder: Path, name: str) -> None:
    make = Maker()
    found = cached(("key",), ".so", make)
    if name == "file":  # a folder where the file should be
        found.unlink()
        found.mkdir()
        (found / "inside").touch()
    else:  # a file where the folder of the entry should be
        found.unlink()
        found.parent.rmdir()
        found.parent.touch()
    assert cached(("key",), ".so", make) == found
    assert found.read_bytes() == b"content" and make.calls == 2
    assert files(folder) == [found]


def test_an_entry_that_is_of_no_use_is_made_again(folder: Path) -> None:
    cached(("key",), ".so", Maker(b"useless"))
    found = cached(("key",), ".so", Maker(b"better"), again=True)
    assert found.read_bytes() == b"better"
    assert cached(("key",), ".so", Maker(b"not asked for")) == found


def test_a_full_disk_is_a_clear_error(folder: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CacheError, match=r"cannot keep a built file in .*cache \(No space left.*GENESIS_CACHE"):
        cached(("key",), ".so", full)
    assert files(folder) == []


def test_an_entry_above_the_limit_is_still_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE_LIMIT", "10")
    assert cached(("big",), ".so", Maker(b"x" * 1000)).stat().st_size == 1000


def test_trimming_leaves_foreign_files_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE_LIMIT", "10")
    folder.mkdir()
    (folder / "thesis.tex").write_text("x" * 1000)
    cached(("key",), ".so", Maker())
    assert (folder / "thesis.tex").exists()


@pytest.mark.parametrize(("text", "size"), [("123", 123), ("10k", 10 << 10), ("500M", 500 << 20), ("2G", 2 << 30)])
def test_limit(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setenv("GENESIS_CACHE_LIMIT", text)
    assert cache_limit() == size


def test_a_limit_that_is_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_limit() == 2 << 30
    monkeypatch.setenv("GENESIS_CACHE_LIMIT", "plenty")
    with pytest.raises(GenesisError, match="GENESIS_CACHE_LIMIT='plenty' is no size"):
        cache_limit()


def test_the_folder_is_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE", "here")
    assert cache_folder() == Path.cwd() / "here"
    monkeypatch.delenv("GENESIS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder().is_absolute() and cache_folder().name == "genesis"
