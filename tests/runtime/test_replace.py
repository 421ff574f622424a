"""Files replaced as a whole: the file before, and the file left behind."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.errors import CheckpointError
from runtime.checkpoint import load_checkpoint, save_checkpoint
from runtime.replace import replacing

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX modes, links and pipes")


def test_a_link_keeps_pointing_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "latest"
    link.symlink_to(tmp_path / "disk" / "c")
    for epoch in (3, 4):
        save_checkpoint({"epoch": epoch}, link)
        assert link.is_symlink()
        assert load_checkpoint(tmp_path / "disk" / "c") == load_checkpoint(link) == {"epoch": epoch}


def test_a_link_to_itself_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "c"
    link.symlink_to(link)
    with pytest.raises(OSError, match="symbolic link"):
        save_checkpoint({}, link)
    assert list(tmp_path.iterdir()) == [link] and link.is_symlink()


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_the_mode_of_the_replaced_file_is_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "c"
    save_checkpoint({"epoch": 1}, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()
    path.chmod(mode)
    save_checkpoint({"epoch": 2}, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert load_checkpoint(path) == {"epoch": 2}


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


@POSIX
def test_a_pipe_and_a_folder_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, kind in (("pipe", "a named pipe"), ("folder", "a folder")):
        with pytest.raises(CheckpointError, match=f"cannot save checkpoint '.*{name}': {kind} has this name"):
            save_checkpoint({"epoch": 1}, tmp_path / name)
        with pytest.raises(CheckpointError, match=f"cannot load checkpoint '.*{name}': it is {kind}, not a file"):
            load_checkpoint(tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    with pytest.raises(CheckpointError, match="a device has this name"):
        save_checkpoint({"epoch": 1}, "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


DIES = """
import os, signal, sys
from runtime.replace import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("half", flush=True)
    if sys.argv[2] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.readline()
"""


def start(path: Path, end: str) -> "subprocess.Popen[str]":
    """A process that is in the middle of writing ``path``, or died there."""
    command = [sys.executable, "-c", DIES, str(path), end]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    return process


@POSIX
def test_what_a_dead_process_left_is_removed_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    path, other = tmp_path / "c", tmp_path / "other"
    with start(path, "dies") as dead:
        assert dead.wait(60) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with start(other, "lives") as living:
        (tmp_path / ".checkpoint-notes").touch()  # of the user
        (unfinished,) = {p for p in tmp_path.glob(".checkpoint-????????????????") if p != left}
        save_checkpoint({"epoch": 1}, path)
        assert not left.exists()
        assert sorted(tmp_path.iterdir()) == sorted([path, unfinished, tmp_path / ".checkpoint-notes"])
        living.communicate("go on\n", timeout=60)
    assert other.read_bytes() == b"half"
    assert load_checkpoint(path) == {"epoch": 1}


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "c") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
