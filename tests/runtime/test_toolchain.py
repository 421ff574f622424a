"""Finding a compiler, asking what it can do, and building with flags that keep IEEE arithmetic."""

import ctypes
import importlib.util
import math
import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from compiler.errors import DeviceError, GenesisWarning
from runtime import toolchain
from runtime.cache import writable_folder
from runtime.toolchain import CompileError, Compiler, CompilerStopped, cpu_features, find_compiler, march

ZIG_CACHE = str(writable_folder() / "zig")
X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="these processors are of the x86 family")


def installed() -> list[str]:
    """``GENESIS_CC`` for every compiler of this machine."""
    commands = [command for command in ("gcc", "clang") if shutil.which(command)]
    package = importlib.util.find_spec("ziglang")
    if package and package.submodule_search_locations:
        commands.append(f"{package.submodule_search_locations[0]}/zig cc")
    return commands


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", ZIG_CACHE)  # filling it takes seconds
    for name in ("GENESIS_CC", "GENESIS_CFLAGS", "GENESIS_MARCH", "GENESIS_CC_TIMEOUT", "CC"):
        monkeypatch.delenv(name, raising=False)
    toolchain._probe.cache_clear()


@pytest.fixture(params=installed(), ids=lambda command: Path(command.split()[0]).name)
def compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    monkeypatch.setenv("GENESIS_CC", request.param)
    found = find_compiler()
    assert found is not None
    return found


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_every_family_answers(compiler: Compiler) -> None:
    assert compiler.family == {"gcc": "gcc", "clang": "clang", "zig": "zig"}[Path(compiler.command[0]).stem]
    assert compiler.version
    assert compiler.features == cpu_features() <= set(toolchain.FEATURES.values())
    assert "-ffast-math" not in compiler.flags("native")


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", "none")
    assert find_compiler() is None
    assert cpu_features() == frozenset()


def test_a_named_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", "no-such-cc -m64")
    with pytest.raises(DeviceError, match="there is no program 'no-such-cc'"):
        find_compiler()


def test_a_named_compiler_that_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", str(program(tmp_path / "broken", "echo 'math.h: no such file' >&2; exit 1")))
    with pytest.raises(DeviceError, match=r"broken cannot be used with .*: math\.h: no such file"):
        find_compiler()


def test_flags_of_the_user_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CFLAGS", "-O1 '-DA=\"b c\"'")
    assert toolchain.flags("gcc", "native")[-2:] == ("-O1", '-DA="b c"')
    monkeypatch.setenv("GENESIS_CFLAGS", "-O1 '")
    with pytest.raises(DeviceError, match=r"^GENESIS_CFLAGS=.* is no command line"):
        toolchain.flags("gcc", "native")


@pytest.mark.parametrize("variable", ["GENESIS_CC", "CC"])
def test_a_command_line_with_an_open_quote(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "gcc '")
    with pytest.raises(DeviceError, match=rf'^{variable}="gcc \'" is no command line \(No closing quotation\)'):
        find_compiler()


def test_messages_that_are_no_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", str(program(tmp_path / "cc", r"printf 'error: caf\351\n' >&2; exit 1")))
    with pytest.raises(DeviceError, match="error: caf\N{REPLACEMENT CHARACTER}"):
        find_compiler()


def test_a_compiler_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", str(program(tmp_path / "cc", "exec sleep 600")))
    monkeypatch.setenv("GENESIS_CC_TIMEOUT", "0.1")
    with pytest.raises(CompilerStopped, match=r"did not answer for 0\.1 s .*GENESIS_CC_TIMEOUT\n  command: .*/cc"):
        find_compiler()


def test_a_compiler_that_was_stopped_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works = "echo '#define __VERSION__ \"1.0\"'"
    path = program(tmp_path / "cc", f"[ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; kill -TERM $$; }}; {works}")
    monkeypatch.setenv("GENESIS_CC", str(path))
    with pytest.raises(CompilerStopped, match="stopped by SIGTERM"):
        find_compiler()
    assert find_compiler().version == "1.0"


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_a_time_out_that_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GENESIS_CC", str(program(tmp_path / "cc", "exit 1")))
    monkeypatch.setenv("GENESIS_CC_TIMEOUT", text)
    with pytest.raises(DeviceError, match=f"GENESIS_CC_TIMEOUT='{text}' is no number of seconds"):
        find_compiler()


def test_a_program_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cc"
    path.write_bytes(b"\x7fELF, but not really")
    path.chmod(0o755)
    monkeypatch.setenv("GENESIS_CC", str(path))
    with pytest.raises(DeviceError, match=r"the C compiler cannot be started: .*Exec format error"):
        find_compiler()


def test_a_source_may_name_files_that_are_no_utf8(compiler: Compiler, tmp_path: Path) -> None:
    compiler.build("// caf\udce9.py:3\nint step(void) { return 1; }\n", tmp_path / "out.so", march())
    assert (tmp_path / "out.so").exists()


def test_tcc_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", str(program(tmp_path / "cc", "echo '#define __TINYC__ 927'")))
    with pytest.raises(DeviceError, match="is tcc, which has no vectors"):
        find_compiler()


def test_an_unusable_cc_is_passed_over_with_a_warning(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "bin"
    links.mkdir()
    (links / "gcc").symlink_to(compiler.command[0])
    monkeypatch.setenv("PATH", f"{links}:{os.environ['PATH']}")
    monkeypatch.delenv("GENESIS_CC")
    monkeypatch.setenv("CC", str(program(tmp_path / "broken", "exit 1")))
    with pytest.warns(GenesisWarning, match="broken cannot be used with"):
        assert find_compiler() is not None


@X86
def test_the_processor_can_be_chosen(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_MARCH", "x86-64")
    assert march() == "x86-64"
    assert cpu_features() == frozenset()
    monkeypatch.setenv("GENESIS_MARCH", "x86-64-v3")
    assert cpu_features() == {"avx2", "fma", "f16c"}
    monkeypatch.setenv("GENESIS_MARCH", "x86-64-v4")
    assert cpu_features() == {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl"}


def test_an_unknown_processor(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_MARCH", "abacus")
    with pytest.raises(DeviceError, match=r"cannot be used with -m(arch|cpu)=abacus"):
        find_compiler()


def test_a_warm_start_runs_no_subprocess(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a subprocess was started")

    monkeypatch.setattr(subprocess, "run", fail)
    toolchain._probe.cache_clear()  # as in a new process
    assert find_compiler() == compiler


def test_a_changed_compiler_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path / "fake", "echo '#define __VERSION__ \"1.0\"'")
    monkeypatch.setenv("GENESIS_CC", str(path))
    assert find_compiler().version == "1.0"
    program(path, "echo '#define __VERSION__ \"1.0.1\"'")
    assert find_compiler().version == "1.0.1"


def test_a_compile_error_names_command_lines_and_source(compiler: Compiler, tmp_path: Path) -> None:
    source = "int f(void) {\n  return nowhere;\n}\n"
    with pytest.raises(CompileError) as caught:
        compiler.build(source, tmp_path / "out.so", march())
    error = caught.value
    assert error.source.read_text() == source
    assert error.command[0] == compiler.command[0]
    assert any(f"{error.source.name}:2:" in line and "nowhere" in line for line in error.errors)
    assert str(error.source) in str(error) and "nowhere" in str(error)
    assert not (tmp_path / "out.so").exists()


PARTS = """
#define PARTS 2
#define HIDDEN __attribute__((visibility("hidden")))
#if PART != 2
HIDDEN int twice(int x) { return 2 * x; }
#else
HIDDEN int twice(int x);
#endif
#if PART != 1
int step(int x) { return twice(x) + 1; }
#endif
"""


@pytest.mark.parametrize("source", [PARTS, PARTS.replace("#define PARTS 2", "")], ids=["in parts", "whole"])
def test_parts_are_compiled_apart_and_linked(compiler: Compiler, tmp_path: Path, source: str) -> None:
    compiler.build(source, tmp_path / "out.so", march())
    library = ctypes.CDLL(str(tmp_path / "out.so"))
    assert library.step(3) == 7
    assert not hasattr(library, "twice")


@pytest.mark.parametrize(("right", "line"), [("2 * x", 5), ("twice(x) + 1", 10)])
def test_an_error_in_either_part_names_the_kept_source(
    compiler: Compiler, tmp_path: Path, right: str, line: int
) -> None:
    source = PARTS.replace(right, "nowhere")
    with pytest.raises(CompileError) as caught:
        compiler.build(source, tmp_path / "out.so", march())
    assert caught.value.source.read_text() == source
    assert any(f"{caught.value.source.name}:{line}:" in one and "nowhere" in one for one in caught.value.errors)


def test_an_error_of_the_linker_names_the_kept_source(compiler: Compiler, tmp_path: Path) -> None:
    source = PARTS.replace("#if PART != 2", "#if PART == 3")
    with pytest.raises(CompileError, match="twice") as caught:
        compiler.build(source, tmp_path / "out.so", march())
    assert caught.value.source.read_text() == source
    assert "-shared" in caught.value.command and not (tmp_path / "out.so").exists()


ARITHMETIC = """
#include <math.h>
float fused(float a, float b, float c) { float product = a * b; return product + c; }
int is_nan(float x) { return isnan(x); }
int is_inf(float x) { return isinf(x); }
float rounded(float x) { float shifted = x + 12582912.0f; return shifted - 12582912.0f; }
"""


def test_arithmetic(compiler: Compiler, tmp_path: Path) -> None:
    compiler.build(ARITHMETIC, tmp_path / "arithmetic.so", march())
    library = ctypes.CDLL(str(tmp_path / "arithmetic.so"))
    assert np.float32(1e-40) * np.float32(1) != 0, "loading the library switched subnormals off"
    assert library.is_nan(ctypes.c_float(math.nan)) and not library.is_nan(ctypes.c_float(1))
    assert library.is_inf(ctypes.c_float(math.inf)) and not library.is_inf(ctypes.c_float(1))
    for function in (library.fused, library.rounded):
        function.restype = ctypes.c_float
    assert library.rounded(ctypes.c_float(2.75)) == 3
    x = 1 + 2**-12  # its square needs 25 bits
    if compiler.features & {"fma", "neon"}:
        assert library.fused(*map(ctypes.c_float, (x, x, -1))) == x * x - 1


@X86
def test_builds_for_every_processor(compiler: Compiler, tmp_path: Path) -> None:
    for processor in ("x86-64", "x86-64-v3", "native"):
        compiler.build(ARITHMETIC, tmp_path / f"{processor}.so", processor)
        assert (tmp_path / f"{processor}.so").stat().st_size > 0
