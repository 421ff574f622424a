"""Instruction sets the C templates know, and the register tile each one gets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Isa:
    """A target: f32 lanes of a vector, vector registers, rows and columns of the register tile, bf16 dot products."""

    name: str
    lanes: int
    registers: int
    mr: int
    nr: int
    bf16_dot: bool


ISAS: dict[str, Isa] = {
    isa.name: isa
    for isa in (
        Isa("avx512bf16", lanes=16, registers=32, mr=14, nr=32, bf16_dot=True),
        Isa("avx512", lanes=16, registers=32, mr=14, nr=32, bf16_dot=False),
        Isa("avx2", lanes=8, registers=16, mr=6, nr=16, bf16_dot=False),
        Isa("neon", lanes=4, registers=32, mr=8, nr=12, bf16_dot=False),
        Isa("portable", lanes=4, registers=16, mr=4, nr=8, bf16_dot=False),
    )
}

_NEEDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("avx512bf16", frozenset({"avx512f", "avx512bw", "avx512vl", "avx512bf16", "fma"})),
    ("avx512", frozenset({"avx512f", "avx512bw", "avx512vl", "fma"})),
    ("avx2", frozenset({"avx2", "fma"})),
    ("neon", frozenset({"neon"})),
)


def isa_for(features: frozenset[str]) -> Isa:
    """The best instruction set for a machine's features, named as in :data:`runtime.toolchain.FEATURES`."""
    return ISAS[next((name for name, needed in _NEEDS if needed <= features), "portable")]
