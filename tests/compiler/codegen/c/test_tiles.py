"""The inner loops of the register tiles, as the compilers of each processor print them."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from compiler.codegen.c.isa import ISAS
from compiler.codegen.c.prelude import prelude
from compiler.codegen.c.tiles import Tile
from runtime.toolchain import FAMILY_FLAGS, FLAGS, Family
from tests.compiler.codegen.c.harness import zig

PROCESSOR = {"avx512bf16": "cooperlake", "avx512": "skylake-avx512", "avx2": "haswell"}

# For each architecture: a comment, multiply and add, a vector register and the stack in one line, a jump to its target.
COMMENT = {"x86": "#", "arm": "//"}
MULTIPLY = {"x86": r"vfmadd\d+ps|vdpbf16ps", "arm": r"fmla"}
SPILL = {"x86": r"[xyz]mm.*%r[sb]p\)|%r[sb]p\).*[xyz]mm", "arm": r"\b[qv]\d+.*\[(sp|x29)"}
JUMP = {"x86": r"j\w+\s+(\.L\w+)$", "arm": r"(?:b\.?\w*|cbn?z\s+\w+,|tbn?z\s+\w+, #?\d+,)\s*(\.L\w+)$"}


def command(compiler: str, isa: str) -> list[str]:
    """A compiler for a processor with ``isa``, with the flags that Genesis uses, or a skip."""
    machine = "aarch64" if isa == "neon" else "x86_64"
    family: Family = "zig" if compiler == "zig" else "clang" if compiler == "clang" else "gcc"
    processor = PROCESSOR.get(isa, "").replace("-", "_" if family == "zig" else "-")
    flags = [*FLAGS, *FAMILY_FLAGS[family], "-g0", *([f"-march={processor}"] if processor else [])]
    if family == "zig":
        return [*zig(), "-target", f"{machine}-linux-musl", *flags]
    if machine != platform.machine():
        compiler = f"{machine.replace('_', '-')}-linux-gnu-{compiler}"
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    return [compiler, *flags]


def inner_loop(assembly: str, machine: str, length: int) -> list[str]:
    """The instructions of the loop with a multiple of ``length`` multiplications."""
    body: list[str] = []
    label = ""
    for line in assembly.splitlines():
        line = line.split(COMMENT[machine])[0].strip()
        if found := re.match(r"(\.L\w+):", line):
            label, body = found[1], []
        elif line and not line.startswith("."):
            body.append(line)
            jump = re.match(JUMP[machine], line)
            count = sum(bool(re.match(MULTIPLY[machine], one)) for one in body)
            if jump and jump[1] == label and count and count % length == 0:
                return body
    raise AssertionError(f"no loop of {length} multiplications in\n{assembly}")


@pytest.mark.parametrize("compiler", ["gcc", "clang", "zig"])
@pytest.mark.parametrize(
    ("name", "a"),
    [(name, a) for name in ("avx512bf16", "avx512", "avx2", "neon") for a in ("rows", "columns")]
    + [("avx512bf16", a) for a in ("pairs", "row_pairs")],
)
def test_sums_stay_in_registers(name: str, a: str, compiler: str, tmp_path: Path) -> None:
    isa = ISAS[name]
    tile = Tile(isa.mr, isa.nr // isa.lanes, a)
    machine = "arm" if name == "neon" else "x86"
    text = f"{prelude(isa, tile.text(isa))}{tile.text(isa)}void *used = {tile.name};\n"
    (tmp_path / "tile.c").write_text(text)
    done = subprocess.run(
        [*command(compiler, name), "-S", "tile.c", "-o", "tile.s"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loop = inner_loop((tmp_path / "tile.s").read_text(), machine, tile.rows * tile.vectors)
    assert not [line for line in loop if re.search(SPILL[machine], line)], "\n".join(loop)
