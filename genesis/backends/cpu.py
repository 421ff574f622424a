"""``genesis.backends.cpu``: the instructions that compiled steps are written for."""

from compiler.codegen.c.isa import isa_for
from runtime.toolchain import find_compiler


def get_cpu_capability() -> str:
    """The name of the widest instructions that compiled steps use: ``"AVX512"``, ``"AVX2"``, ``"DEFAULT"``."""
    compiler = find_compiler()
    name = "portable" if compiler is None else isa_for(compiler.features).name
    return {"avx512": "AVX512", "avx512bf16": "AVX512", "avx2": "AVX2"}.get(name, "DEFAULT")
