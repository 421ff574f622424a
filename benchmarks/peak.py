"""The processor's peak: floating-point operations a second of all threads together, in registers alone."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

from benchmarks import machine
from compiler.codegen.c.isa import Isa, isa_for
from compiler.codegen.c.prelude import prelude
from runtime.devices.pool import get_pool, load_library
from runtime.toolchain import find_compiler

RUNS = 20
WORK = 2**29
"""Operations of a thread in one run: some milliseconds, so that a moment at full speed is enough."""

_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of instructions for bf16. With one that Genesis does not use, as others may, the peak is not known."""

_OPERATIONS = {"f32": 2, "bf16": 4}  # in each lane of an instruction
_INSTRUCTION = {
    "f32": "x[k] * 0.5f + 0.25f",  # of which no start is a fixed point: the compiler would leave that sum out
    "bf16": "dot_bf16(x[k], (vu){0} + 0x3f003f00u, (vu){0} + 0x3f003f00u)",  # pairs of 0.5
}
_LOOP = """
/* {chains} sums that do not wait for each other, *ctx times added to; reading them keeps them from being left out. */
static void {dtype}_loop(int tid, int nt, void *ctx) {{
  static volatile float result;
  const long n = *(const long *)ctx;
  vf x[{chains}], total = {{0}};
  UNROLL for (int k = 0; k < {chains}; ++k) x[k] = (vf){{0}} + (float)k;
  for (long i = 0; i < n; ++i) {{
    UNROLL for (int k = 0; k < {chains}; ++k) x[k] = {instruction};
  }}
  UNROLL for (int k = 0; k < {chains}; ++k) total += x[k];
  result = vtotal(total);
}}

void {dtype}_peak(gen_pool *pool, int threads, long n) {{ pool->run(pool, threads, {dtype}_loop, &n); }}
"""


@dataclass(frozen=True)
class Peak:
    """Floating-point operations a second of ``threads`` threads, by the dtype of what is multiplied.

    A dtype of which the peak is not known is not there.
    """

    threads: int
    rates: Mapping[str, float]

    def seconds(self, work: Mapping[str, int]) -> float | None:
        """The least time for so many operations of each dtype; None if it is not known."""
        if not work or not work.keys() <= self.rates.keys():
            return None
        return sum(count / self.rates[dtype] for dtype, count in work.items())

    def or_higher(self, other: Peak) -> Peak:
        """The higher rates of the two."""
        return Peak(self.threads, {dtype: max(rate, other.rates[dtype]) for dtype, rate in self.rates.items()})

    def __str__(self) -> str:
        rates = ", ".join(f"{dtype} {rate / 1e9:.0f}" for dtype, rate in self.rates.items())
        return f"{rates} GFLOP/s on {self.threads} threads" if rates else "unknown without a C compiler"


def measure(threads: int) -> Peak:
    """The best of some short runs, as Genesis would be compiled here; nothing without a C compiler."""
    compiler = find_compiler()
    if compiler is None:
        return Peak(threads, {})
    isa = isa_for(compiler.features)
    rates = {"f32": _rate("f32", isa, threads)}
    used = {"avx512_bf16"} if isa.bf16_dot else set()
    if not _BF16.intersection(machine.flags()) - used:
        rates["bf16"] = _rate("bf16", isa, threads) if isa.bf16_dot else rates["f32"]
    return Peak(threads, rates)


def _rate(dtype: str, isa: Isa, threads: int) -> float:
    chains = isa.registers - 4
    loop = _LOOP.format(dtype=dtype, chains=chains, instruction=_INSTRUCTION[dtype])
    run = load_library(prelude(isa, loop) + loop)[f"{dtype}_peak"]
    run.argtypes, run.restype = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long), None
    work = chains * isa.lanes * _OPERATIONS[dtype]
    times = []
    for _ in range(RUNS):
        start = perf_counter()
        run(get_pool(), threads, WORK // work)
        times.append(perf_counter() - start)
    return threads * (WORK // work) * work / min(times)
