"""Instruction sets the C templates know, and the register tile each one gets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Isa:
    """A target: f32 lanes of a vector, vector registers, rows and columns of the register tile, bf16 dot products.

    ``needs`` are the features of machines that have it, as in :data:`runtime.toolchain.FEATURES`.
    """

    name: str
    lanes: int
    registers: int
    mr: int
    nr: int
    bf16_dot: bool = False
    needs: frozenset[str] = frozenset()


_AVX512 = frozenset({"avx512f", "avx512bw", "avx512vl", "fma"})
ISAS: dict[str, Isa] = {
    isa.name: isa
    for isa in (
        Isa("avx512bf16", lanes=16, registers=32, mr=14, nr=32, bf16_dot=True, needs=_AVX512 | {"avx512bf16"}),
        Isa("avx512", lanes=16, registers=32, mr=14, nr=32, needs=_AVX512),
        Isa("avx2", lanes=8, registers=16, mr=6, nr=16, needs=frozenset({"avx2", "fma"})),
        Isa("neon", lanes=4, registers=32, mr=8, nr=12, needs=frozenset({"neon"})),
        Isa("portable", lanes=4, registers=16, mr=4, nr=8),
    )
}
"""The best ones first."""


def isa_for(features: frozenset[str]) -> Isa:
    """The best instruction set for a machine's features."""
    return next(isa for isa in ISAS.values() if isa.needs <= features)
