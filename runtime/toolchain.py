"""The machine's C compiler: which one, what it can do, and how Genesis calls it.

Environment: ``GENESIS_CC`` and ``CC`` name a compiler (``GENESIS_CC=none``: act as if there were none),
``GENESIS_MARCH`` the processor to build for (the value of ``-march``, on ARM of ``-mcpu``; by default ``native``),
``GENESIS_CFLAGS`` more flags, behind Genesis's own,
``GENESIS_CC_TIMEOUT`` the seconds after which a compiler that has not answered is stopped (by default 600).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import math
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compiler.errors import DeviceError, GenesisWarning
from runtime.cache import cached_bytes, writable_folder

Family = Literal["gcc", "clang", "zig"]

# Never -ffast-math: it breaks isnan and isinf, and gcc links a library built with it so that loading it switches
# subnormals off for the whole process. Never -fassociative-math: it deletes the rounding tricks of exp. Contraction is
# spelled out because clang by default contracts only within an expression, gcc also across statements. Never
# -fno-signed-zeros: with it gcc 12 turns inf * 0 into 0 in vector loops, and gains nothing.
# With -fwrapv, integers overflow as in NumPy and PyTorch: in two's complement.
FLAGS = (
    "-std=gnu11",
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fwrapv",
    "-fopenmp-simd",
    "-fPIC",
    "-pthread",
)
FAMILY_FLAGS: dict[Family, tuple[str, ...]] = {
    "gcc": ("-fno-schedule-insns",),  # which on ARM loads early what then does not fit the registers beside a tile
    "clang": (),
    "zig": ("-fno-sanitize=all",),  # zig turns the undefined-behaviour sanitizer on by default
}
LIBRARIES = ("-lm",)

# The C code generator's names for what a processor can do, by the macro that a compiler predefines.
FEATURES = {
    "__AVX2__": "avx2",
    "__FMA__": "fma",
    "__F16C__": "f16c",
    "__AVX512F__": "avx512f",
    "__AVX512BW__": "avx512bw",
    "__AVX512VL__": "avx512vl",
    "__AVX512BF16__": "avx512bf16",
    "__ARM_NEON": "neon",
}

# How a C file says that it can be compiled in parts, told apart by the macro PART: 1, 2, ...
PARTS = re.compile(r"^#define PARTS (\d+)$", re.M)

# Preprocessed to learn the macros: also shows that the headers of the C library are installed.
PROBE = "#include <math.h>\n#include <pthread.h>\n#include <stdatomic.h>\n"


class CompileError(DeviceError):
    """The C compiler failed.

    Attributes: ``command`` the command line, ``errors`` the first lines it complained with, ``source`` the kept source.
    """

    def __init__(self, command: Sequence[str], errors: Sequence[str], source: Path) -> None:
        self.command, self.errors, self.source = tuple(command), tuple(errors), source
        lines = "\n  ".join(errors)
        super().__init__(f"the C compiler failed on {source}\n  {lines}\n  command: {shlex.join(command)}")


class CompilerStopped(DeviceError):
    """The C compiler was ended by a signal, or took too long. To try again may help."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler that has answered, for one processor.

    ``command`` starts it, ``identity`` changes when its files do, ``features`` are the ``FEATURES`` that it may use.
    """

    command: tuple[str, ...]
    version: str
    family: Family
    identity: str
    features: frozenset[str]

    def flags(self, march: str) -> tuple[str, ...]:
        return flags(self.family, march)

    def build(self, source: str, out: Path, march: str) -> None:
        """Build the shared library ``out`` from one C file, whose parts, if any, are compiled at the same time.

        Raises:
            CompileError: the compiler complains; the source is kept.
            CompilerStopped: the compiler was ended by a signal, or took too long.
        """
        kept = out.with_name(f"failed-{hashlib.sha256(_encoded(source)).hexdigest()[:16]}.c")
        text = f'#line 1 "{kept.name}"\n{source}'
        start = (*self.command, *self.flags(march))
        found = PARTS.search(source)
        parts = [(f"-DPART={1 + i}",) for i in range(int(found[1]))] if found else [()]
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:
            objects = [f"{folder}/{i}.o" for i in range(len(parts))]
            compilers = [(*start, *part, "-c", "-x", "c", "-", "-o", o) for part, o in zip(parts, objects, strict=True)]
            finished = list(threads.map(lambda command: _run(command, text), compilers))
            if not any(process.returncode for process in finished):
                finished.append(_run((*start, "-shared", *objects, "-o", str(out), *LIBRARIES), ""))
        for process in finished:
            if process.returncode != 0:
                kept.write_bytes(_encoded(source))
                raise CompileError(process.args, _complaints(process.stderr), kept)


def march() -> str:
    """The processor to build for: ``GENESIS_MARCH``, else ``native``."""
    return os.environ.get("GENESIS_MARCH") or "native"


def flags(family: Family, march: str) -> tuple[str, ...]:
    """The flags of every build, with the words of ``GENESIS_CFLAGS`` behind them."""
    more = _words("GENESIS_CFLAGS", os.environ.get("GENESIS_CFLAGS", ""))
    return (*FLAGS, *FAMILY_FLAGS[family], processor_flag(family, march), *more)


def find_compiler() -> Compiler | None:
    """The first usable of ``GENESIS_CC``, ``CC``, cc, gcc, clang and the ziglang package; None where there is none.

    A ``GENESIS_CC`` or ``GENESIS_MARCH`` that does not work, and a ``CC`` that is no command line, raise
    ``DeviceError``; any other unusable compiler is passed over with a warning. Only POSIX systems are searched: the
    thread pool needs pthreads.
    """
    named = os.environ.get("GENESIS_CC", "").strip()
    if named == "none" or sys.platform == "win32":
        return None
    insist = bool(named or os.environ.get("GENESIS_MARCH"))
    for command in [_words("GENESIS_CC", named)] if named else _candidates():
        program = shutil.which(command[0])
        if program is None:
            if named:
                raise DeviceError(f"GENESIS_CC={named!r}: there is no program {command[0]!r}")
            continue
        found = _probe((program, *command[1:]), march(), _identity(command))
        if isinstance(found, Compiler):
            return found
        if insist:
            raise found
        warnings.warn(f"{found}; trying the next compiler", GenesisWarning, stacklevel=2)
    return None


def cpu_features() -> frozenset[str]:
    """The ``FEATURES`` that generated C may use; none where there is no compiler."""
    compiler = find_compiler()
    return compiler.features if compiler else frozenset()


def processor_flag(family: Family, march: str) -> str:
    """The flag that chooses the processor, e.g. ``-march=x86-64-v3``."""
    if platform.machine() not in ("x86_64", "AMD64", "i686"):
        return f"-mcpu={march}"
    return f"-march={march.replace('-', '_') if family == 'zig' else march}"


@functools.cache
def processor_identity() -> str:
    """The meaning of ``native`` on this machine, so that machines of several kinds can share one cache folder."""
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            first = file.read(8192).decode(errors="replace").split("\n\n")[0]
    except OSError:
        return " ".join((os.uname().machine, os.uname().release))
    return "\n".join(re.findall(r"^(?:vendor_id|cpu family|model|stepping|flags|Features|CPU \w+)\s*:.*$", first, re.M))


def _candidates() -> Iterator[list[str]]:
    if named := os.environ.get("CC", "").strip():
        yield _words("CC", named)
    yield from (["cc"], ["gcc"], ["clang"])
    package = importlib.util.find_spec("ziglang")
    if package and package.submodule_search_locations:
        yield [str(Path(package.submodule_search_locations[0]) / "zig"), "cc"]


def _words(variable: str, text: str) -> list[str]:
    """The words of a command line in an environment variable."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise DeviceError(f"{variable}={text!r} is no command line ({error}); correct it, or unset it") from None


def _identity(command: Sequence[str]) -> str:
    """Path, size and time of every program in ``command`` (``ccache gcc`` has two)."""
    programs = [Path(found) for word in command if (found := shutil.which(word))]
    return json.dumps([[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in programs])


@functools.cache
def _probe(command: tuple[str, ...], march: str, identity: str) -> Compiler | DeviceError:
    """Ask a compiler for its macros. A failure is returned, so that it is remembered like a success.

    A compiler that was stopped raises ``CompilerStopped``, which is not remembered.
    """
    zig = Path(command[0]).stem == "zig"
    flag = processor_flag("zig" if zig else "gcc", march)

    def ask() -> bytes:
        finished = _run((*command, flag, "-dM", "-E", "-x", "c", "-"), PROBE)
        macros = dict(re.findall(r"^#define (\w+) (.*)$", finished.stdout, re.M))
        if "__TINYC__" in macros or Path(command[0]).name.endswith("tcc"):
            raise DeviceError(
                f"{shlex.join(command)} is tcc, which has no vectors; install gcc, clang or (pip) ziglang"
            )
        if finished.returncode != 0 or "__VERSION__" not in macros:
            complaint = "; ".join(_complaints(finished.stderr)) or "it does not answer like gcc or clang"
            raise DeviceError(f"the C compiler {shlex.join(command)} cannot be used with {flag}: {complaint}")
        family = "zig" if zig else "clang" if "__clang__" in macros else "gcc"
        features = [name for macro, name in FEATURES.items() if macro in macros]
        return json.dumps([macros["__VERSION__"].strip('"'), family, features]).encode()

    try:
        answer = cached_bytes(("probe", identity, shlex.join(command), flag, processor_identity(), PROBE), ask)
    except CompilerStopped:
        raise
    except DeviceError as error:
        return error
    version, family, features = json.loads(answer)
    return Compiler(command, version, family, identity, frozenset(features))


def _run(command: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    """Run a compiler on ``text``, with messages in English; zig keeps its parts of the C library beside our cache.

    Bytes of its messages that are no UTF-8 are shown as U+FFFD.

    Raises:
        CompilerStopped: it was ended by a signal, or took too long.
        DeviceError: it cannot be started.
    """
    environment = {"ZIG_GLOBAL_CACHE_DIR": str(writable_folder() / "zig"), **os.environ, "LC_ALL": "C"}
    limit = _timeout()
    try:
        done = subprocess.run(command, input=_encoded(text), capture_output=True, env=environment, timeout=limit)
    except subprocess.TimeoutExpired:
        raise CompilerStopped(
            f"the C compiler did not answer for {limit:g} s and was stopped; see whether it works, or give it longer "
            f"with GENESIS_CC_TIMEOUT\n  command: {shlex.join(command)}"
        ) from None
    except OSError as error:
        raise DeviceError(f"the C compiler cannot be started: {error}\n  command: {shlex.join(command)}") from error
    if done.returncode < 0:
        raise CompilerStopped(
            f"the C compiler was stopped by {signal.Signals(-done.returncode).name}\n  command: {shlex.join(command)}"
        )
    out, errors = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, errors)


def _encoded(source: str) -> bytes:
    """C text as bytes. It may name files whose names are no UTF-8, which Python keeps as lone surrogates."""
    return source.encode(errors="surrogateescape")


def _timeout() -> float:
    """Seconds a compiler may take: ``GENESIS_CC_TIMEOUT``, else 600."""
    text = os.environ.get("GENESIS_CC_TIMEOUT", "600")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise DeviceError(f"GENESIS_CC_TIMEOUT={text!r} is no number of seconds; write one above 0")
    return seconds


def _complaints(stderr: str) -> list[str]:
    """The first lines that tell the error."""
    lines = stderr.strip().splitlines()
    return ([line for line in lines if re.search(r"error|undefined", line, re.I)] or lines)[:5]
