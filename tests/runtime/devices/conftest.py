"""A CUDA driver without a GPU: it records its calls and works on host memory."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


class FakeDriver:
    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._library.fake_log.restype = ctypes.c_char_p
        self.fail = self._library.fake_fail
        self.set_version = self._library.fake_version
        self.set_memory = lambda nbytes: self._library.fake_memory(ctypes.c_size_t(nbytes))
        self.set_capability = self._library.fake_capability

    def calls(self) -> list[str]:
        """The calls since the last look."""
        lines = self._library.fake_log().decode().splitlines()
        self._library.fake_clear()
        return lines


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None:
        pytest.skip("needs a C compiler to build the recording driver")
    path = tmp_path_factory.mktemp("driver") / "libcuda.so"
    source = Path(__file__).with_name("fake_libcuda.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-Wall", "-Werror", source, "-o", path], check=True)
    return path


@pytest.fixture
def driver(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """Each test loads a copy of its own, so blocks are numbered from 0."""
    path = shutil.copy(library, tmp_path / "libcuda.so")
    monkeypatch.setenv("GENESIS_LIBCUDA", str(path))
    return FakeDriver(path)
