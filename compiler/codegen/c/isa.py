"""Instruction sets the C templates know, and the register tile each one gets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Isa:
    """A target: f32 lanes of a vector, rows and columns of the register tile, and what it does in hardware."""

    name: str
    lanes: int
    mr: int
    nr: int
    bf16_dot: bool
    f16c: bool


ISAS: dict[str, Isa] = {
    isa.name: isa
    for isa in (
        Isa("avx512bf16", lanes=16, mr=14, nr=32, bf16_dot=True, f16c=True),
        Isa("avx512", lanes=16, mr=14, nr=32, bf16_dot=False, f16c=True),
        Isa("avx2", lanes=8, mr=6, nr=16, bf16_dot=False, f16c=True),
        Isa("neon", lanes=4, mr=8, nr=12, bf16_dot=False, f16c=False),
        Isa("portable", lanes=4, mr=6, nr=8, bf16_dot=False, f16c=False),
    )
}

_NEEDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("avx512bf16", frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16", "fma", "f16c"})),
    ("avx512", frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma", "f16c"})),
    ("avx2", frozenset({"avx2", "fma", "f16c"})),
    ("neon", frozenset({"asimd"})),
)


def isa_for(features: frozenset[str]) -> Isa:
    """The best instruction set for a machine's features, named as in Linux's /proc/cpuinfo (`neon` is `asimd`)."""
    return ISAS[next((name for name, needed in _NEEDS if needed <= features), "portable")]
