"""Matrix-product kernels against NumPy in float64: layouts, remainders, batches, dtypes, epilogues, threads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pytest

from compiler.codegen.c.gemm import gemm_kernel
from compiler.codegen.c.gemm_plan import GemmSpec, Operand, Plan
from compiler.codegen.c.isa import ISAS, Isa
from compiler.codegen.c.prelude import prelude
from compiler.codegen.c.tiles import shared_functions
from tests.compiler.codegen.c.harness import NUMPY, POOL, build, call, element_strides, entry, isas, strided, zig

RNG = np.random.default_rng(7)


@dataclass
class Case:
    """A product into a row-major f32 array."""

    spec: GemmSpec
    a: np.ndarray
    b: np.ndarray

    def expected(self) -> np.ndarray:
        a, b = self.a, self.b
        if self.spec.compute == "bf16":
            a, b = (x.astype(np.float32).astype(NUMPY["bf16"]) for x in (a, b))
        return a.astype(np.float64) @ b.astype(np.float64)


def case(
    m: int,
    n: int,
    k: int,
    layout: str = "NN",
    dtypes: tuple[str, str] = ("f32", "f32"),
    compute: str = "f32",
    batch: tuple[int, ...] = (),
    gap: int = 0,
) -> Case:
    outer = tuple(range(len(batch)))
    orders = {"N": (*outer, len(batch), len(batch) + 1), "T": (*outer, len(batch) + 1, len(batch))}
    a = strided(RNG, (*batch, m, k), orders[layout[0]], dtypes[0], gap)
    b = strided(RNG, (*batch, k, n), orders[layout[1]], dtypes[1], gap)
    index = "".join(f"b{i} * {prod(batch[i + 1 :]) * m * n} + " for i in range(len(batch)))
    spec = GemmSpec(
        batch, m, n, k, Operand(dtypes[0], element_strides(a)), Operand(dtypes[1], element_strides(b)),
        compute, "float *restrict c", f"c[{index}i * {n} + j] = acc;",
    )  # fmt: skip
    return Case(spec, a, b)


def unit(isa: Isa, specs: list[GemmSpec], pointers: int = 3) -> str:
    """The kernels ``product0``, ``product1``, ... of ``specs``."""
    kernels = ""
    for i, plan in enumerate(Plan(isa, spec) for spec in specs):
        kernels += gemm_kernel(plan).replace("NAME", f"product{i}")
        kernels += entry(f"product{i}", pointers, plan.shared_bytes + 3 * plan.private_bytes)
    text = "\n".join(["#include <stdlib.h>\n" + POOL, *shared_functions(isa, kernels), kernels])
    return prelude(isa, text) + text


def check(isa: Isa, cases: list[Case], compiler: tuple[str, ...] = ("gcc",)) -> None:
    library = build(unit(isa, [c.spec for c in cases]), isa, compiler)
    for i, c in enumerate(cases):
        results = []
        for nt in (1, 2, 3):
            out = np.full((*c.spec.batch, c.spec.m, c.spec.n), np.nan, np.float32)
            call(library, f"product{i}", nt, c.a, c.b, out)
            results.append(out)
        for other in results[1:]:
            assert results[0].tobytes() == other.tobytes(), (c.spec, "the number of threads changes the result")
        tolerance = 2e-6 * max(4.0, c.spec.k**0.5)
        np.testing.assert_allclose(results[0], c.expected(), rtol=0, atol=tolerance * 4, err_msg=str(c.spec))


LAYOUTS = ("NN", "NT", "TN", "TT")


def f32_cases() -> list[Case]:
    shapes = [
        (1, 1, 1),
        (5, 7, 3),
        (14, 32, 16),
        (33, 65, 70),
        (130, 100, 17),
        (1, 300, 90),
        (3, 40, 130),
        (128, 10, 200),
    ]
    cases = [case(m, n, k, layout) for m, n, k in shapes for layout in LAYOUTS]
    cases += [
        case(64, 512, 300),
        case(60, 50, 2100, "TN"),
        case(60, 950, 2100, "NT", gap=1),
        case(6, 50, 1800, batch=(3,)),
        case(60, 50, 2100),
        case(200, 1100, 900, "NT"),
        case(33, 96, 70, "NT"),
        case(20, 64, 45, "TT"),
        case(100, 208, 50, "NT", gap=1),
    ]
    cases += [case(90, 70, 60, layout, batch=batch, gap=2) for layout in LAYOUTS for batch in ((5,), (2, 3))]
    cases += [case(40, 600, 500, "NT", batch=(3,)), case(2, 3, 4, batch=(2, 2, 2)), case(9, 8, 0), case(0, 3, 4)]
    cases += [
        case(m, n, 133, "NT", batch=batch) for m, n in ((1, 50), (7, 41), (33, 1), (29, 6)) for batch in ((), (3,))
    ]
    return cases


def mixed_cases() -> list[Case]:
    types = (("bf16", "bf16"), ("f32", "bf16"), ("f16", "f32"), ("f32", "f32"))
    cases = [
        case(33, 65, 71, layout, t, compute, gap=1) for layout in LAYOUTS for t in types for compute in ("f32", "bf16")
    ]
    cases += [case(3, 30, 200, "NT", t, "bf16") for t in types]
    cases += [case(5, 7, 3, layout, types[0], "bf16") for layout in LAYOUTS]
    cases += [case(30, 40, 3301, layout, types[i], "bf16") for layout in ("NN", "TT") for i in (0, 3)]
    cases += [case(70, 50, 65, "NT", types[0], "bf16", batch=(4,)), case(40, 720, 3300, "NT", types[3], "bf16")]
    cases += [case(60, 70, 260, "TN", types[1], "bf16")]
    return cases


@pytest.mark.parametrize("isa", isas(), ids=lambda isa: isa.name)
def test_f32(isa: Isa) -> None:
    check(isa, f32_cases() if isa == isas()[0] else f32_cases()[::3])


@pytest.mark.parametrize("isa", isas(), ids=lambda isa: isa.name)
def test_mixed(isa: Isa) -> None:
    check(isa, mixed_cases()[:: 1 if isa == isas()[0] else 4])


def test_strided() -> None:
    """No axis of an operand at distance one, a broadcast row, a broadcast matrix of a batch."""
    isa = isas()[0]
    wide = RNG.standard_normal((90, 160)).astype(np.float32)
    a, b = wide[::2, ::4], wide[:80:2, ::3]
    base = case(45, 54, 40).spec
    apart = Case(replace(base, a=Operand("f32", element_strides(a)), b=Operand("f32", element_strides(b))), a, b)
    row = np.broadcast_to(wide[0, :40], (45, 40))
    same = Case(replace(base, a=Operand("f32", element_strides(row)), b=apart.spec.b), row, b)
    many = case(45, 54, 40, "NT", batch=(6,))
    shared = np.broadcast_to(many.b[:1], many.b.shape)
    many = Case(replace(many.spec, b=Operand("f32", element_strides(shared))), many.a, shared)
    check(isa, [apart, same, many])


def test_zig() -> None:
    check(isas()[0], f32_cases()[:20:3] + mixed_cases()[::7], tuple(zig()))


def test_rows_over_a_batch() -> None:
    """A batch with one B for all is one product of more rows; the epilogue still sees batch indices."""
    folded = case(9, 40, 70, batch=(2, 3))
    shared = np.broadcast_to(folded.b[:1, :1], folded.b.shape)
    check(isas()[0], [Case(replace(folded.spec, b=Operand("f32", element_strides(shared))), folded.a, shared)])


@pytest.mark.parametrize("isa", [isas()[0], ISAS["portable"]], ids=lambda isa: isa.name)
@pytest.mark.parametrize(("m", "n", "k", "layout"), [(37, 70, 50, "NN"), (60, 45, 1700, "TT"), (130, 300, 200, "TN")])
def test_epilogue(isa: Isa, m: int, n: int, k: int, layout: str) -> None:
    """Bias, activation, residual, accumulation and a second output in bf16, as several statements."""
    product = case(m, n, k, layout)
    spec = replace(
        product.spec,
        params="const float *bias, float *restrict sum, bf16 *restrict half, float *restrict turned",
        epilogue=f"""
const float x = acc + bias[j];
const float y = x > 0.0f ? x : 0.0f;
sum[i * {n} + j] += y;
half[i * {n} + j] = f32_to_bf16(y);
turned[j * {m} + i] = x;
""",
        streams=(("sum", 4), ("half", 2)),
    )
    bias, start = RNG.standard_normal(n).astype(np.float32), RNG.standard_normal((m, n)).astype(np.float32)
    total, half, turned = start.copy(), np.zeros((m, n), NUMPY["bf16"]), np.zeros((n, m), np.float32)
    library = build(unit(isa, [spec], 6), isa)
    call(library, "product0", 2, product.a, product.b, bias, total, half, turned)
    x = product.expected() + bias
    tolerance = 1e-5 * k**0.5
    np.testing.assert_allclose(turned.T, x, atol=tolerance)
    np.testing.assert_allclose(total, start + np.maximum(x, 0), atol=tolerance)
    np.testing.assert_allclose(half.astype(np.float32), np.maximum(x, 0), rtol=5e-3, atol=tolerance)


@pytest.mark.parametrize("isa", [isas()[0], ISAS["portable"]], ids=lambda isa: isa.name)
def test_totals(isa: Isa) -> None:
    """The product stored as it is, and sums over all its elements; the same bits whatever the number of threads."""
    cases = [
        case(45, 64, 70, "TN"),
        case(33, 70, 50, "NT"),
        case(33, 96, 50, "NT"),
        case(5, 90, 133, "NT"),
        case(20, 40, 1700),
    ]
    cases += [case(9, 40, 70, batch=(2, 3)), case(200, 1100, 900, "NT")]
    specs = [
        replace(
            c.spec,
            params="float *restrict c, float *restrict plain, float *restrict squares",
            epilogue="const float square = acc * acc;",
            result="c",
            totals=(("plain", "acc"), ("squares", "square")),
        )
        for c in cases
    ]
    library = build(unit(isa, specs, 5), isa)
    for i, (c, spec) in enumerate(zip(cases, specs, strict=True)):
        found = []
        for nt in (1, 2, 3):
            out = np.full((*spec.batch, spec.m, spec.n), np.nan, np.float32)
            plain, squares = np.full((2, Plan(isa, spec).parts), np.nan, np.float32)
            call(library, f"product{i}", nt, c.a, c.b, out, plain, squares)
            found.append((out, plain, squares))
        assert all(x.tobytes() == y.tobytes() for other in found[1:] for x, y in zip(found[0], other, strict=True))
        out, plain, squares = found[0]
        np.testing.assert_allclose(out, c.expected(), rtol=0, atol=1e-5 * spec.k**0.5)
        np.testing.assert_allclose(plain.sum(), out.astype(np.float64).sum(), rtol=1e-4, atol=1e-5 * out.size)
        np.testing.assert_allclose(squares.sum(), np.square(out.astype(np.float64)).sum(), rtol=1e-5)


@pytest.mark.parametrize("isa", [isas()[0], ISAS["portable"]], ids=lambda isa: isa.name)
def test_column_totals(isa: Isa) -> None:
    """Sums of columns over the rows, and over a batch; the last tile narrow, packed or not; of a transposed product."""
    cases = [case(70, 64, 70, "TN"), case(133, 70, 50, "NT"), case(100, 50, 1700), case(30, 40, 70, batch=(2, 3))]
    cases += [case(64, 256, 100, "NT"), case(90, 200, 40)]
    specs = [
        replace(
            c.spec,
            params="float *restrict total, float *restrict columns, float *restrict squares",
            epilogue="const float square = acc * acc;",
            totals=(("total", "acc"),),
            column_totals=(("columns", "acc"), ("squares", "square")),
        )
        for c in cases
    ]
    library = build(unit(isa, specs, 5), isa)
    for i, (c, spec) in enumerate(zip(cases, specs, strict=True)):
        found = []
        for nt in (1, 2, 3):
            total = np.full(Plan(isa, spec).parts, np.nan, np.float32)
            columns, squares = np.full((2, Plan(isa, spec).row_parts, spec.n), np.nan, np.float32)
            call(library, f"product{i}", nt, c.a, c.b, total, columns, squares)
            found.append((total, columns, squares))
        assert all(x.tobytes() == y.tobytes() for other in found[1:] for x, y in zip(found[0], other, strict=True))
        total, columns, squares = found[0]
        rows = c.expected().reshape(-1, spec.n)
        tolerance = 1e-5 * (len(rows) * spec.k) ** 0.5
        np.testing.assert_allclose(total.sum(), rows.sum(), rtol=1e-4, atol=tolerance * spec.n)
        np.testing.assert_allclose(columns.sum(0), rows.sum(0), rtol=1e-4, atol=tolerance)
        np.testing.assert_allclose(squares.sum(0), np.square(rows).sum(0), rtol=1e-4)


@pytest.mark.parametrize(("compute", "m", "rows"), [("bf16", 384, 12), ("bf16", 1024, 14), ("f32", 1024, 8)])
def test_rows_of_tiles(compute: str, m: int, rows: int) -> None:
    """Deep products divide their rows evenly; products of bf16 pairs only if the tile stays as wide."""
    assert Plan(ISAS["avx512bf16"], case(m, 96, 256, "TN", compute=compute).spec).mr == rows


@pytest.mark.parametrize(
    ("m", "rows", "group", "even"), [(32, 16, 2, 2), (48, 12, 4, 4), (20, 10, 2, 2), (17, 9, 2, 0)]
)
def test_a_repeated_product_divides_its_rows_evenly(m: int, rows: int, group: int, even: int) -> None:
    spec = replace(case(m, 256, 128, "NT").spec, repeated=True)
    plan = Plan(ISAS["avx512"], spec)
    assert (plan.packed, plan.mr, plan.group, plan.even) == (True, rows, group, even)
    large = Plan(ISAS["avx512"], replace(spec, n=1 << 13))
    assert large.packed and large.block_panels == large.column_panels and not large.even


def test_row_panels_are_packed_some_at_a_time() -> None:
    """If threads share B: so many that they stay in a cache, and that every thread has several times as many."""
    isa = ISAS["avx512bf16"]
    assert Plan(isa, case(1536, 384, 1024, "TN").spec).group == 7
    assert Plan(isa, case(130, 300, 200, "TN").spec).group == 2
    assert Plan(isa, case(1024, 384, 500, "NT").spec).group == 1, "A is read in place"
    assert Plan(isa, case(90, 70, 60, "TN", batch=(5,)).spec).group == 1, "a thread packs for itself"


def test_deep_tiles_fetch_what_comes_next() -> None:
    assert [Plan(ISAS["avx512"], case(64, 512, k).spec).fetches for k in (64, 256)] == [False, True]


def test_threads_choose_between_rows_and_columns_only_where_there_is_a_choice() -> None:
    texts = {m: gemm_kernel(Plan(ISAS["avx2"], case(m, 512, 64).spec)) for m in (12, 600)}
    assert "const int by_rows = 2 % nt == 0;" in texts[12]
    assert (
        "by_rows" not in texts[600] and "const long first = 100L * tid / nt, end = 100L * (tid + 1) / nt;" in texts[600]
    )


def test_tiles_are_shared() -> None:
    """Two layers of one shape family need one set of tiles, and only the remainders their shapes have."""
    isa = ISAS["avx512"]
    kernels = "".join(gemm_kernel(Plan(isa, case(56, 64, k).spec)) for k in (128, 256))
    assert "".join(shared_functions(isa, kernels)).count("NOINLINE void tile_") == 1
