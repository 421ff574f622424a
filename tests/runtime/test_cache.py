"""The cache folder: made once, whole or not at all, and mended when damaged."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from compiler.errors import GenesisError, GenesisWarning
from runtime.cache import cache_folder, cache_limit, cached, cached_bytes

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
    return [path for path in folder.rglob("*") if path.is_file()]


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


def test_the_entries_used_longest_ago_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE_LIMIT", "2500")
    kilobyte = Maker(b"x" * 1000)
    old, older = cached(("a",), ".so", kilobyte), cached(("b",), ".so", kilobyte)
    cached(("a",), ".so", kilobyte)  # used again: now b is the oldest
    new = cached(("c",), ".so", kilobyte)
    assert sorted(files(folder)) == sorted([old, new])
    assert not older.parent.exists()


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
