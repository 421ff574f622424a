"""Translation units built, cached, loaded and called."""

import gc
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compiler.errors import DeviceError
from runtime.cache import CacheError
from runtime.device import Status, pointers
from runtime.devices.cpu import CpuDevice, CpuProgram, aligned_empty
from runtime.devices.pool import get_pool, load_library
from runtime.toolchain import CompileError

ROOT = Path(__file__).parents[2]

# args: {float x[n], long n, float y[n]}; y = 2x, and a negative x[i] is reported.
DOUBLE = """
typedef struct gen_pool gen_pool;

void step(gen_pool *pool, int threads, void *const *args, long long *status) {
  const float *x = args[0];
  const long n = *(const long *)args[1];
  float *y = args[2];
  for (long i = 0; i < n; i++) {
    if (x[i] < 0) {
      status[0] = 3, status[1] = 14, status[2] = i, status[3] = (long long)x[i];
      return;
    }
    y[i] = 2 * x[i];
  }
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GENESIS_CC", raising=False)
    return tmp_path / "cache"


def libraries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.so"))


def double(program: CpuProgram, x: np.ndarray) -> np.ndarray:
    y, n, args = np.zeros_like(x), np.array([x.size]), pointers(3)
    args[0], args[1], args[2] = x.ctypes.data, n.ctypes.data, y.ctypes.data
    program(args, 1)
    return y


def test_a_step_reads_and_writes_through_its_pointers() -> None:
    program = CpuDevice().load(DOUBLE)
    x = np.arange(5, dtype=np.float32)
    assert (double(program, x) == 2 * x).all()
    assert program.status == Status(0, 0, 0, 0)


def test_a_status_lasts_until_the_next_call() -> None:
    program = CpuProgram.build(DOUBLE)
    double(program, np.float32([1, 2, -7]))
    assert program.status == Status(code=3, node=14, index=2, value=-7)
    double(program, np.float32([1, 2]))
    assert program.status == Status(0, 0, 0, 0)


def test_the_call_returns_the_code() -> None:
    program, x, n = CpuProgram.build(DOUBLE), np.float32([-1]), np.array([1])
    args = pointers(3)
    args[0], args[1] = x.ctypes.data, n.ctypes.data
    assert program(args, 1) == 3


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_close_unmaps_the_library_and_a_later_call_says_so(folder: Path) -> None:
    get_pool()  # its library stays
    before = libraries(folder)
    program, other = CpuProgram.build(DOUBLE), CpuProgram.build(DOUBLE)
    (library,) = set(libraries(folder)) - set(before)
    x = np.float32([1, 2])

    def mapped() -> bool:
        return str(library) in Path("/proc/self/maps").read_text()

    program.close()
    program.close()
    with pytest.raises(DeviceError, match="this program was closed"):
        double(program, x)
    assert (double(other, x) == 2 * x).all()  # loaded twice, closed once
    assert mapped()
    del other
    gc.collect()
    assert not mapped()


def test_source_is_built_once(folder: Path) -> None:
    CpuProgram.build(DOUBLE)
    built = libraries(folder)
    CpuProgram.build(DOUBLE)
    assert libraries(folder) == built
    CpuProgram.build(DOUBLE + "// another")
    assert len(libraries(folder)) == len(built) + 1


@pytest.mark.parametrize("content", [b"", b"\x7fELF for another processor"])
def test_a_library_that_cannot_be_loaded_is_built_again(folder: Path, content: bytes) -> None:
    get_pool()
    before = libraries(folder)
    CpuProgram.build(DOUBLE).close()
    (library,) = set(libraries(folder)) - set(before)
    library.unlink()
    useless = library.with_name(f"{hashlib.sha256(content).hexdigest()[:32]}.so")
    useless.write_bytes(content)  # whole, says its name
    assert (double(CpuProgram.build(DOUBLE), np.float32([1])) == [2]).all()
    assert not useless.exists()


def test_a_library_that_can_never_be_loaded_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(f"{name}: failed to map segment from shared object")

    monkeypatch.setattr("ctypes.CDLL", refuse)
    with pytest.raises(CacheError, match=r"just built cannot be loaded: .*failed to map .*GENESIS_CACHE"):
        load_library(DOUBLE)


def test_comments_are_no_part_of_the_key(folder: Path) -> None:
    """A line that is put on top of the user's program moves all others, which comments name."""
    CpuProgram.build(f"/* train.py:7 */\n{DOUBLE}")
    built = libraries(folder)
    CpuProgram.build(f"/* train.py:8\n   model.0 */\n{DOUBLE}")
    assert libraries(folder) == built


def test_flags_are_part_of_the_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENESIS_MARCH", raising=False)
    CpuProgram.build(DOUBLE)
    built = libraries(folder)
    monkeypatch.setattr("runtime.toolchain.FLAGS", ("-O1", "-fPIC"))
    CpuProgram.build(DOUBLE)
    assert len(libraries(folder)) == len(built) + 1


def test_subnormals_survive_loading() -> None:
    CpuProgram.build(DOUBLE)
    assert np.float32(1e-40) * np.float32(1) != 0


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", "none")
    with pytest.raises(DeviceError, match="no C compiler was found; install gcc or clang"):
        CpuProgram.build(DOUBLE)


def test_wrong_source_leaves_no_library(folder: Path) -> None:
    with pytest.raises(CompileError, match="expected") as caught:
        CpuProgram.build("void step( {")
    assert libraries(folder) == []
    assert caught.value.source.read_text() == "void step( {"


SCRIPT = """
import numpy as np
from tests.runtime.test_cpu import DOUBLE, CpuProgram, double

assert (double(CpuProgram.build(DOUBLE), np.float32([1, 2])) == [2, 4]).all()
"""


def start() -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> None:
    assert process.communicate(timeout=120)[1] == ""
    assert process.returncode == 0


def test_two_processes_build_at_once_and_a_damaged_library_is_built_again(folder: Path) -> None:
    both = [start(), start()]
    for process in both:
        finish(process)
    built = libraries(folder)
    for path in built:
        path.write_bytes(path.read_bytes()[:1000])
    finish(start())
    assert [path.name for path in libraries(folder)] == [path.name for path in built]
    assert all(path.stat().st_size > 1000 for path in built)


@pytest.mark.parametrize("nbytes", [1, 64, 1000, 1 << 20])
def test_memory_is_aligned(nbytes: int) -> None:
    block = aligned_empty(nbytes)
    assert block.dtype == np.uint8 and block.shape == (nbytes,)
    assert block.ctypes.data % 64 == 0
    block[:] = 1
    assert CpuDevice().alloc(nbytes).shape == (nbytes,)
