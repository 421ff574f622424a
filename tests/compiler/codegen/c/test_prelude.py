"""Conversions, elementary functions and random bits of the C prelude, as the compiler vectorises them."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from compiler.codegen.c.isa import ISAS, Isa, isa_for
from compiler.codegen.c.prelude import POOL_ABI, prelude
from tests.compiler.codegen.c.harness import FLAGS, MARCH, MAX_ULP, build, isas, zig
from tests.compiler.codegen.c.reference import philox_uniforms, philox_words

CONVERSIONS = {
    "bf16_to_f32": ("bf16", "float"),
    "f32_to_bf16": ("float", "bf16"),
    "round_bf16": ("float", "float"),
    "f16_to_f32": ("f16", "float"),
    "f32_to_f16": ("float", "f16"),
    "round_f16": ("float", "float"),
}


FUNCTIONS = (*MAX_ULP, "exp2_flushed")


def loops() -> str:
    text = ""
    for name, (source, target) in {**CONVERSIONS, **dict.fromkeys(FUNCTIONS, ("float", "float"))}.items():
        text += f"""
void run_{name}(long n, const {source} *restrict x, {target} *restrict y) {{
#pragma omp simd
  for (long i = 0; i < n; ++i) y[i] = {name}(x[i]);
}}
"""
    return (
        text
        + """
void fill(uint64_t seed, uint64_t offset, uint64_t first, long n, float *u) {
  float draws[PHILOX_ROOM(n)];
  memcpy(u, philox_fill(seed, offset, first, n, draws), sizeof(float) * n);
}
void folds(const float *x, long n, float *peaks, float *totals) {
  vf r[LANES], s[LANES];
  for (int l = 0; l < LANES; ++l) r[l] = vseen(vload(x + l * LANES), n), s[l] = vload(x + l * LANES);
  vstore(peaks, vpeaks(r));
  vstore(totals, vtotals(s));
}
void lanes(uint64_t seed, uint64_t offset, uint64_t first, long n, uint32_t *w) {
#pragma omp simd
  for (long i = 0; i < n; ++i) w[i] = philox_lane(seed, offset, first + (uint64_t)i);
}
"""
    )


def library(isa: Isa, compiler: tuple[str, ...] = ("gcc",)) -> ctypes.CDLL:
    return build(prelude(isa, loops()) + loops(), isa, compiler, level=3)


def apply(lib: ctypes.CDLL, name: str, x: np.ndarray, result: type) -> np.ndarray:
    y = np.empty(x.shape, result)
    getattr(lib, f"run_{name}")(ctypes.c_long(x.size), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))
    return y


def floats() -> np.ndarray:
    """f32 of every exponent and sign, values around zero and one, and the special ones."""
    rng = np.random.default_rng(5)
    everywhere = np.arange(0, 1 << 32, 17389, dtype=np.uint64).astype(np.uint32).view(np.float32)
    ranges = [rng.uniform(-r, r, 60_000) for r in (1e-3, 1, 4, 110, 1e5)] + [rng.uniform(0.5, 2, 60_000)]
    special = [
        0.0,
        -0.0,
        1e-45,
        -1e-45,
        1.17549435e-38,
        np.inf,
        -np.inf,
        np.nan,
        -1.0,
        1.0,
        88.72283,
        88.72284,
        -103.9,
        -104.0,
    ]
    return np.concatenate([everywhere, *(np.array(values, np.float32) for values in (*ranges, special))])


REFERENCE = {
    "gen_expf": np.exp,
    "gen_expm1f": np.expm1,
    "gen_logf": np.log,
    "gen_log2f": np.log2,
    "gen_log1pf": np.log1p,
    "gen_tanhf": np.tanh,
    "gen_erff": np.vectorize(math.erf, otypes=[np.float64]),
    "gen_sinf": np.sin,
    "gen_cosf": np.cos,
}


Apply = Callable[[str, np.ndarray, type], np.ndarray]
"""Calls a function of the prelude, by name, on every element of an array; the result has the given type."""


def check_functions(apply: Apply) -> None:
    x = floats()
    for name, limit in MAX_ULP.items():
        got = apply(name, x, np.float32)
        with np.errstate(all="ignore"):
            exact = REFERENCE[name](x.astype(np.float64))
            rounded = exact.astype(np.float32)
            finite = np.isfinite(rounded) & np.isfinite(got)
            assert np.array_equal(got[~finite], rounded[~finite], equal_nan=True), name
            ulp = np.maximum(np.spacing(np.abs(rounded[finite])), np.float32(2.0**-149)).astype(np.float64)
        error = np.abs(got[finite] - exact[finite]) / ulp
        assert error.max() <= limit, (name, error.max(), x[finite][error.argmax()])


def check_flushed(apply: Apply) -> None:
    """2^x below 127.5: within two and a half units in the last place, and zero where 2^x is subnormal."""
    x = floats()
    x = x[x < 127.5]
    got, exact = apply("exp2_flushed", x, np.float32), np.exp2(x.astype(np.float64))
    assert not got[x < -126].any()
    error = np.abs(got - exact)[x >= -126]
    assert (error <= 2.5 * np.spacing(exact[x >= -126].astype(np.float32))).all()
    assert np.isnan(apply("exp2_flushed", np.full(1, np.nan, np.float32), np.float32)).all()


def check_conversions(apply: Apply) -> None:
    x = floats()
    with np.errstate(all="ignore"):
        half, brain = x.astype(np.float16), x.astype(ml_dtypes.bfloat16)
    every = np.arange(1 << 16, dtype=np.uint16)
    for name, expected, number in (("f16", half, np.float16), ("bf16", brain, ml_dtypes.bfloat16)):
        got = apply(f"f32_to_{name}", x, np.uint16).view(number)
        with np.errstate(invalid="ignore"):
            wide = got.astype(np.float32)
            assert np.array_equal(wide, expected.astype(np.float32), equal_nan=True), name
            back = apply(f"{name}_to_f32", every, np.float32)
            assert np.array_equal(back, every.view(number).astype(np.float32), equal_nan=True), name
            assert np.array_equal(apply(f"round_{name}", x, np.float32), wide, equal_nan=True), name


def check_philox(lib: ctypes.CDLL) -> None:
    seed, offset = 0xFEDCBA9876543210, (7 << 32) + 5
    for first, n in ((0, 64), (1, 3), (2, 1001), ((1 << 34) + 3, 77), ((1 << 34) - 7, 77), (5, 0), (3, 2)):
        words, uniforms = np.empty(n, np.uint32), np.empty(n, np.float32)
        head = (ctypes.c_uint64(seed), ctypes.c_uint64(offset), ctypes.c_uint64(first), ctypes.c_long(n))
        lib.lanes(*head, ctypes.c_void_p(words.ctypes.data))
        lib.fill(*head, ctypes.c_void_p(uniforms.ctypes.data))
        assert np.array_equal(words, philox_words(seed, offset, first, n))
        assert np.array_equal(uniforms, philox_uniforms(seed, offset, first, n))


def check_folds(lib: ctypes.CDLL, lanes: int) -> None:
    """Peaks over several rows, and totals: whole numbers, which have no rounding."""
    x = np.random.default_rng(3).integers(-99, 99, (lanes, lanes)).astype(np.float32)
    for seen in (-3, 0, 1, lanes - 1, lanes, lanes + 7):
        peaks, totals = np.empty(lanes, np.float32), np.empty(lanes, np.float32)
        arrays = [ctypes.c_void_p(array.ctypes.data) for array in (x, peaks, totals)]
        lib.folds(arrays[0], ctypes.c_long(seen), *arrays[1:])
        assert np.array_equal(peaks, x[:, : max(seen, 0)].max(1, initial=-np.inf))
        assert np.array_equal(totals, x.sum(1))


@pytest.mark.parametrize("isa", isas(), ids=lambda isa: isa.name)
def test_prelude(isa: Isa) -> None:
    lib = library(isa)
    check_folds(lib, isa.lanes)
    check_functions(partial(apply, lib))
    check_flushed(partial(apply, lib))
    check_conversions(partial(apply, lib))
    check_philox(lib)


def test_zig() -> None:
    lib = library(isas()[0], tuple(zig()))
    check_folds(lib, isas()[0].lanes)
    check_functions(partial(apply, lib))
    check_flushed(partial(apply, lib))
    check_conversions(partial(apply, lib))
    check_philox(lib)


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
@pytest.mark.parametrize("name", ["bf16", "f16"])
def test_gcc_vectorises_what_is_selected_among_rounded_values(name: str, isa: str, tmp_path: Path) -> None:
    if platform.machine() != "x86_64" or not shutil.which("gcc"):
        pytest.skip("no gcc for x86-64")
    loop = f"""void relu(long n, const {name} *restrict x, const float *restrict m, {name} *restrict y) {{
  for (long r = 0; r < n; ++r) {{
    const float mean = m[r];
#pragma omp simd
    for (long i = 0; i < 128; ++i) {{
      const float t = round_{name}(({name}_to_f32(x[r * 128 + i]) - mean) * mean);
      y[r * 128 + i] = f32_to_{name}(t > 0.0f || t != t ? t : 0.0f);
    }}
  }}
}}
"""
    source = tmp_path / "relu.c"
    source.write_text(prelude(ISAS[isa], loop) + loop)
    command = ["gcc", *FLAGS, f"-march={MARCH[isa]}", "-fopt-info-vec-optimized", "-c", str(source)]
    done = subprocess.run([*command, "-o", os.devnull], capture_output=True, text=True, check=True)
    assert "loop vectorized" in done.stderr


def test_philox_known_answer() -> None:
    """The first vectors of the authors' known-answer file: key and counter zero."""
    assert [hex(w) for w in philox_words(0, 0, 0, 4)] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def test_emits_only_what_is_used() -> None:
    text = prelude(ISAS["avx2"], "y[i] = gen_tanhf(x[i]);")
    assert "gen_expm1f" in text and "gen_logf" not in text and "immintrin" not in text
    assert POOL_ABI in text


def test_isa_for() -> None:
    avx2 = {"avx2", "fma", "f16c"}
    avx512 = avx2 | {"avx512f", "avx512bw", "avx512vl"}
    assert isa_for(frozenset()).name == "portable"
    assert isa_for(frozenset(avx2)).name == "avx2"
    assert isa_for(frozenset(avx512)).name == "avx512"
    assert isa_for(frozenset(avx512 | {"avx512bf16"})).name == "avx512bf16"
    assert isa_for(frozenset({"neon"})).name == "neon"


def test_pool_abi_is_the_runtimes() -> None:
    assert POOL_ABI in (Path(__file__).parents[4] / "runtime" / "devices" / "pool.c").read_text()
